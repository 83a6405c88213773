"""Word problems put together from parts: a scene, a chain of one to four operations, and a way of saying it.

problem() draws the three apart from each other, so that what is learned is the operation and not the template. Chains,
scenes and phrasings of sum_scenes.py that are held out occur only with judge set.
"""

from dataclasses import dataclass

from corpus import sum_scenes as scenes
from corpus.grammar import capital, say
from corpus.sum_templates import RESULT, people, worked
from corpus.words import name

WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty""".split()
SIGNS = {"x": "x", "+": "+", "-": "-", "d": "x", "h": "/", "/": "/", "t": "+", "c": "-"}


@dataclass
class Problem:
    question: str
    answer: str
    value: int  # what the last step makes
    chain: str
    variables: dict  # of the people and things, for a question that goes on
    style: dict


def chain_of(r, judge, plain):
    """A chain of operations; `plain`: only + and -."""
    if judge:
        return r.choice([c for c in scenes.HELD_OUT_CHAINS if not plain or set(c) <= set("+-")])
    while True:
        length = r.choices([1, 2, 3, 4], [0.2, 0.4, 0.25, 0.15])[0]
        chain = "".join(r.choice("+-" if plain else "++++----dh") for _ in range(length))
        if not plain and r.random() < 0.3:
            chain = "x" + chain[1:]
        if not plain and length > 1 and r.random() < 0.25:
            chain = chain[:-1] + r.choice("/tc")
        if chain not in scenes.HELD_OUT_CHAINS:
            return chain


def steps_of(r, chain):
    """-> (start, numbers, steps [(a, sign, b)]), or None where the numbers do not work out. start: the first number."""
    top = r.choice([10, 20, 20, 50, 100])
    steps, value = [], r.randint(2, top)
    start = value
    for at, op in enumerate(chain):
        if op == "x":
            start = value = r.randint(2, 9)
            b = r.randint(2, 10)
        elif op in "+t":
            b = r.randint(2, max(2, top))
        elif op in "-c":
            if value < 2:
                return None
            b = r.randint(1, value - (op == "c"))
        elif op in "dh":
            b = 2
        else:
            divisors = [k for k in range(2, 11) if value % k == 0 and value > k]
            if not divisors:
                return None
            b = r.choice(divisors)
        if op == "h" and (value % 2 or value < 4):
            return None
        steps.append((value, SIGNS[op], b))
        value = RESULT[SIGNS[op]](value, b)
        if value > 999:
            return None
    return start, [b for _, _, b in steps], steps


def conjugate(base, style):
    verb, _, rest = base.partition(" ")
    third, past = scenes.VERBS.get(
        verb, (verb + ("es" if verb.endswith(("s", "sh", "ch", "x")) else "s"), verb + ("d" if verb.endswith("e") else "ed"))
    )
    form = past if style["past"] else third if style["third"] else verb
    return f"{form} {rest}" if rest else form


def phrase(text, style, v, n):
    """ "give|{n} to {B}" -> "gives 5 to Anna"."""
    base, _, rest = text.partition("|")
    return conjugate(base, style) + " " + rest.replace("{n}", n)


def number(n, style):
    return WORDS[n] if style["words"] and n < len(WORDS) else str(n)


def owner_events(r, style, v, chain, numbers):
    """What happens to what somebody owns: (phrases without a subject, sentences to close with, the question or None)."""
    gains, losses = (scenes.MONEY_GAINS, scenes.MONEY_LOSSES) if v["t"] == "dollars" else (scenes.GAINS, scenes.LOSSES)
    if v["t"] in scenes.EATABLE:
        losses = losses + scenes.EAT * 2
    happened, closing, question = [], [], None
    for op, b in zip(chain, numbers):
        n = number(b, style)
        if op in "+-":
            happened.append(phrase(r.choice(gains if op == "+" else losses), style, v, n))
        elif op == "d":
            happened.append(
                phrase(r.choice(["get|as many again", "double|that number", "get|twice as many in the end"]), style, v, n)
            )
        elif op == "h":
            happened.append(
                phrase(r.choice(["give|half of them to {B}", "lose|half of them", "keep|only half of them"]), style, v, n)
            )
        elif op == "/":
            closing.append(
                f"{{Who}} {conjugate('share', style)} them equally among {n} friends."
                if r.random() < 0.5
                else f"{{Who}} {conjugate('put', style)} them into {n} {{boxes}}, the same number in each."
            )
            question = "How many {t} does each friend get?" if "friends" in closing[-1] else "How many {t} are in each {box}?"
        elif op in "tc":
            closing.append(f"{{B}} {'had' if style['past'] else 'has'} {n} {{t}}.")
            question = "How many {t} do {they} have together?" if op == "t" else "How many more {t} {do} {who} have than {B}?"
    return happened, closing, question


def owned(r, judge, chain, start, numbers, v, style):
    """Somebody has things, and what comes to pass."""
    third = style["third"]
    v["Who"], v["who"], v["do"], v["have"] = (
        (v["A"], r.choice([v["A"], v["he"]]), "does", "has") if third else ("I", "I", "do", "have")
    )
    v["they"] = f"{v['A']} and {v['B']}" if third else f"{v['B']} and I"
    happened, closing, question = owner_events(r, style, v, chain, numbers)
    first = number(start, style)
    had = conjugate("have", style)
    if chain[0] == "x":
        opening = f"{{Who}} {had} {first} {{boxes}} with {number(numbers[0], style)} {{t}} in each [{{box}}|one|]"
    else:
        opening = f"{{Who}} {had} {first} {{t}}"
    how = r.random()
    if how < 0.15 and chain[0] != "x":  # "12 apples, gives 5 to Anna, buys 8 more."
        body = ", ".join([f"{first} {{t}}", *happened]) + "."
    elif how < 0.45 and happened:  # "Tom has 12 apples, gives 5 to Anna, and buys 8 more."
        happened = [h if i or len(happened) > 1 else h for i, h in enumerate(happened)]
        body = (
            opening
            + (", " + ", ".join(happened[:-1]) if len(happened) > 1 else "")
            + f"[, and then|, then| and|, and] {happened[-1]}."
        )
    else:
        pronoun = v["He"] if third else "I"
        lead = lambda i: r.choice(
            [
                pronoun,
                pronoun,
                f"Then {pronoun if pronoun == 'I' else v['he']}",
                v["Who"] if third else "I",
                f"After that, {pronoun if pronoun == 'I' else v['he']}",
            ]
        )
        body = " ".join([opening + "."] + [f"{lead(i)} {h}." for i, h in enumerate(happened)])
    if v["t"] == "dollars":
        question = question or r.choice(
            [
                "How many dollars {do} {who} have now?",
                "How much money {do} {who} have left?",
                "How many dollars {do} {who} have in the end?",
            ]
        )
    question = question or r.choice(scenes.HELD_OUT_HAVE_NOW if judge == "phrasing" else scenes.HAVE_NOW)
    return " ".join([body, *closing]), question


def placed(r, judge, chain, start, numbers, v, style):
    """Things are in a place, and come and go."""
    opening, question, gains, losses = r.choice(scenes.HELD_OUT_PLACES if judge == "scene" else scenes.PLACES)
    opening = opening.replace("[be]", "were" if style["past"] else "are").replace("{n}", number(start, style))
    events = [r.choice(gains if op == "+" else losses).replace("{n}", number(b, style)) for op, b in zip(chain, numbers)]
    return " ".join([opening, *events]), question


def problem(r, judge=None):
    """-> Problem. judge: None, or what is to be new in it: "chain", "scene" or "phrasing"."""
    while True:
        v = people(r)
        if r.random() < 0.3:
            v["B"] = name(r, r.random() < 0.5)
        if v["B"] == v["A"]:
            continue
        v["t"] = "dollars" if r.random() < 0.08 and judge is None else r.choice(scenes.THINGS)
        in_place = judge == "scene" or (judge != "phrasing" and r.random() < 0.3)
        style = {"past": r.random() < 0.35 and not in_place, "third": r.random() < 0.85, "words": r.random() < 0.12}
        chain = chain_of(r, judge == "chain", in_place)
        if v["t"] == "dollars" and set(chain) - set("+-dh"):
            continue
        worked_out = steps_of(r, chain)
        if worked_out is None:
            continue
        start, numbers, steps = worked_out
        body, question = (placed if in_place else owned)(r, judge, chain, start, numbers, v, style)
        if judge == "phrasing" and not ("at the end" in question or "after all" in question):
            continue
        if r.random() < 0.1:
            noise = r.choice(scenes.NOISE).replace("{x}", str(r.randint(2, 12)))
            body = f"{noise} {body}" if r.random() < 0.5 else f"{body} {noise}"
        asked = say(r, v, body, question)
        if r.random() < 0.06:  # the question comes first
            asked = f"{say(r, v, question)} {say(r, v, body)}"
        value = RESULT[steps[-1][1]](steps[-1][0], steps[-1][2])
        return Problem(asked, worked(r, steps), value, chain, v, style)


def goes_on(r, before):
    """A question after a problem: one more operation on its result. -> Problem."""
    v, style, value = before.variables, before.style, before.value
    n = r.randint(1, 12)
    ways = [
        ("+", n, "[And|Now|Then] {who} {get} {n} more. How many is that?"),
        ("+", n, "[Add {n} to that.|Now add {n}.|Plus {n}?|And {n} more?]"),
        ("x", 2, "[Double that.|And twice as many?|Now double it.|What is two times that?]"),
    ]
    if value > n:
        ways += [
            ("-", n, "[And if|What if] {n} of them are lost?"),
            ("-", n, "[Take away {n}.|Now minus {n}.|Minus {n}?|And {n} less?]"),
            ("-", n, "Then {who} {lose} {n} of them. How many are left?"),
        ]
    if value % 2 == 0 and value > 2:
        ways += [("/", 2, "[And half of that?|What is half of it?|Now halve it.]")]
    sign, b, asked = r.choice(ways)
    if value > 400 and sign in "+x":
        sign, b, asked = "-", n, "Take away {n}."
    words = v | {
        "n": str(b),
        "who": v["he"] if style["third"] else "I",
        "get": "gets" if style["third"] else "get",
        "lose": "loses" if style["third"] else "lose",
    }
    steps = [(value, sign, b)]
    return Problem(capital(say(r, words, asked)), worked(r, steps), RESULT[sign](value, b), before.chain, v, style)


def about_numbers(r):
    """-> (question, answer): bigger, before, after, half, even, in words."""
    a, b = r.sample(range(2, 100), 2)
    small = r.randint(1, 20)
    asked, answer = r.choice(
        [
            (f"[Which is bigger, {a} or {b}?|Which number is bigger: {a} or {b}?|Is {a} more than {b}?]", None),
            (f"[What comes after {a}?|Which number comes after {a}?]", f"{a + 1} comes after {a}."),
            (f"[What comes before {a}?|Which number comes before {a}?]", f"{a - 1} comes before {a}."),
            (f"What is half of {2 * small}?", f"{2 * small} / 2 = {small}."),
            (f"What is twice {a}?", f"{a} x 2 = {2 * a}."),
            (f"[Is {a} even or odd?|Is {a} an even number?]", f"{a} is {'odd' if a % 2 else 'even'}."),
            (f"[How do you write {small} in words?|Write {small} in words.]", f"{capital(WORDS[small])}."),
            (f"[Which number is {WORDS[small]}?|Write {WORDS[small]} in digits.]", f"{small}."),
            (f"What is {WORDS[small]} plus {WORDS[a % 20]}?", f"{small} + {a % 20} = {small + a % 20}."),
        ]
    )
    if answer is None:
        answer = f"{max(a, b)} is bigger than {min(a, b)}."
    return say(r, {}, asked), answer


def last_number(text):
    """What an answer comes to: its last number, or None."""
    digits = "".join(c if c.isdigit() else " " for c in text).split()
    return int(digits[-1]) if digits else None
