"""The one- and two-step problems that version 3 learned from, with its own held-out pairs of numbers: every 23rd.

Kept as a part of what version 4 learns, and as the judge by which the two can be compared.
"""

from corpus.grammar import say
from corpus.sum_scenes import CLOSE, CONTAINERS
from corpus.words import BOYS, GIRLS

ADD = [
    "{A} has {a} {t}. {He} [gets|finds|buys] {b} more. How many {t} does {A} have now?",
    "{A} has {a} {t} and {B} has {b} {t}. How many {t} do they have together?",
    "There are {a} {t} on the table. {A} puts {b} more on it. How many {t} are there now?",
    "In the morning {A} picked {a} {t}. In the afternoon {he} picked {b} more. How many {t} did {he} pick in all?",
    "One [box|bag] has {a} {t}, and another one has {b} {t}. How many {t} are there in all?",
    "{A} had {a} {t}. {B} gave {him} {b} more. How many {t} does {A} have?",
    "There are {a} {t} in the kitchen and {b} in the garden. How many {t} is that?",
    "{A} read {a} pages on Monday and {b} pages on Tuesday. How many pages did {he} read?",
    "A bus has {a} people on it. {b} more people get on. How many people are on the bus?",
    "{A} is {a} years old. How old will {he} be in {b} years?",
    "A farmer has {a} sheep and {b} cows. How many animals does the farmer have?",
]
SUB = [
    "{A} has {a} {t}. {He} [gives {b} to {B}|loses {b}|sells {b}|gives away {b}]. How many {t} does {A} have left?",
    "There are {a} {t} in a [box|basket|bag]. {A} takes {b} of them out. How many are left?",
    "{A} had {a} {t}, and then {b} of them were gone. How many {t} are left?",
    "{A} has {a} {t}. {B} has {b} {t}. How many more {t} does {A} have than {B}?",
    "{a} birds sat in a tree. {b} of them flew away. How many birds are left?",
    "A book has {a} pages. {A} has read {b} pages. How many pages are left to read?",
    "{A} wants to collect {a} {t}. {He} has {b} already. How many more does {he} need?",
    "There are {a} children in a class. {b} of them are sick today. How many children are there today?",
    "{A} had {a} dollars and spent {b} dollars. How many dollars does {he} have left?",
    "A rope is {a} meters long. {A} cuts off {b} meters. How long is the rope now?",
    "{a} people are on a train. {b} people get off. How many people are still on the train?",
]
MUL = [
    "There are {a} {boxes} with {b} {t} in each {box}. How many {t} are there in all?",
    "{A} has {a} {boxes} of {t}. Each {box} holds {b} {t}. How many {t} does {he} have?",
    "{A} eats {b} {t} every day. How many {t} does {he} eat in {a} days?",
    "One ticket costs {b} dollars. How much do {a} tickets cost?",
    "{A} walks {b} miles every day. How many miles does {he} walk in {a} days?",
    "There are {a} rows of chairs with {b} chairs in each row. How many chairs are there?",
    "{a} children have {b} {t} each. How many {t} do they have together?",
    "A car has 4 wheels. How many wheels do {a} cars have?",
    "{A} plants {a} rows of flowers. There are {b} flowers in each row. How many flowers are there?",
]
DIV = [
    "{A} has {n} {t} and {a} friends. {He} shares the {t} equally among the friends. How many {t} does each friend get?",
    "{n} {t} are put into {a} {boxes}, the same number in each {box}. How many {t} are in each {box}?",
    "{a} children share {n} {t} equally. How many does each child get?",
    "{A} has {n} {t}. {He} puts {a} of them in each {box}. How many {boxes} does {he} need?",
    "A rope is {n} meters long. It is cut into {a} equal pieces. How long is each piece?",
    "{A} reads {a} pages a day. A book has {n} pages. How many days does {he} need?",
]
TWO = [
    ("{A} has {a} {t}. {He} buys {b} more and then gives {c} to {B}. How many {t} does {A} have now?", "+-"),
    ("There were {a} {t} in a basket. {A} put in {b} more. Then {B} took {c} out. How many {t} are in the basket?", "+-"),
    ("{A} had {a} {t}. {He} lost {c}, and then found {b} others. How many {t} does {A} have now?", "-+"),
    ("A bus has {a} people on it. {c} people get off and {b} people get on. How many people are on the bus now?", "-+"),
    ("{A} has {a} {t}, {B} has {b} {t}, and {C} has {d} {t}. How many {t} do they have in all?", "++"),
    ("{A} picked {a} {t} on Monday, {b} on Tuesday, and {d} on Wednesday. How many {t} did {he} pick?", "++"),
    ("{A} has {m} {boxes} with {k} {t} in each {box}. {He} also has {d} more {t}. How many {t} does {he} have in all?", "*+"),
    ("{A} has {m} {boxes} with {k} {t} in each. {He} gives {e} {t} to {B}. How many {t} does {A} have left?", "*-"),
    ("One {one} costs {k} dollars. {A} buys {m} of them and pays with {p} dollars. How much money does {he} get back?", "*p"),
    ("{A} has {m} times as many {t} as {B}. {B} has {k} {t}. How many {t} do they have together?", "x+"),
    (
        (
            "{A} had {q} {t}. {He} shared them equally with {one2}, so that each of them got half. Then {he} found {d} more. How"
            " many {t} does {A} have now?"
        ),
        "/+",
    ),
]
PLAIN = [
    "What is {x}?",
    "How much is {x}?",
    "{x} = ?",
    "What does {x} make?",
    "Can you tell me what {x} is?",
    "{x}",
    "calculate {x}",
    "Please calculate {x}.",
    "what is {x}",
]


def held(a, b):
    """Pairs of numbers that are kept to judge by."""
    return (a * 31 + b) % 23 == 7


def numbers(r, judge=False, top=50):
    """Two numbers from 2 to `top`: a held-out pair if `judge`, else one that is not."""
    while True:
        a, b = r.randint(2, top), r.randint(2, top)
        if held(a, b) == judge:
            return a, b


def people(r):
    """Variables with three people, something they have, and something to put it in."""
    female = r.random() < 0.5
    a = r.choice(GIRLS if female else BOYS)
    b, c = r.sample([name for name in GIRLS + BOYS if name != a], 2)
    boxes, box = r.choice(CONTAINERS)
    return {
        "A": a,
        "B": b,
        "C": c,
        "he": "she" if female else "he",
        "He": "She" if female else "He",
        "him": "her" if female else "him",
        "his": "her" if female else "his",
        "boxes": boxes,
        "box": box,
        "one2": "a friend",
        "one": r.choice(["book", "ticket", "toy", "cake", "hat", "kite", "ball"]),
    }


def plain(r, judge=False):
    """-> (question, answer): a sum in figures."""
    op = r.choice("+-*/+-")
    if op in "+-":
        a, b = numbers(r, judge, r.choice([10, 20, 50, 100, 500]))
        if op == "-" and b > a:
            a, b = b, a
        n, sign = (a + b, r.choice(["+", "+", "plus"])) if op == "+" else (a - b, r.choice(["-", "-", "minus"]))
    elif op == "*":
        a, b = numbers(r, judge, r.choice([10, 12]))
        n, sign = a * b, r.choice(["*", "x", "times"])
    else:
        b, n = numbers(r, judge, 10)
        a, sign = n * b, r.choice(["/", "divided by"])
    short = {"plus": "+", "minus": "-", "times": "x", "*": "x", "divided by": "/"}.get(sign, sign)
    answers = [f"{a} {short} {b} = {n}."] * 3 + [f"{a} {short} {b} = {n}. The answer is {n}."]
    return say(r, {"x": f"{a} {sign} {b}"}, r.choice(PLAIN)), r.choice(answers)


def one_step(r, v, judge):
    op = r.choice("+-*/+-")
    if op == "+":
        v["a"], v["b"] = numbers(r, judge, r.choice([12, 30, 60]))
        question, n, step = r.choice(ADD), v["a"] + v["b"], "{a} + {b} = "
    elif op == "-":
        a, b = numbers(r, judge, r.choice([12, 30, 60]))
        v["a"], v["b"] = max(a, b) + (a == b), min(a, b)
        question, n, step = r.choice(SUB), v["a"] - v["b"], "{a} - {b} = "
    elif op == "*":
        v["a"], v["b"] = numbers(r, judge, 10)
        question = r.choice(MUL)
        if "4 wheels" in question:
            v["b"] = 4
        n, step = v["a"] * v["b"], "{a} x {b} = "
    else:
        v["a"], n = numbers(r, judge, 10)
        v["n"] = v["a"] * n
        question, step = r.choice(DIV), "{n} / {a} = "
    return say(r, v, question), say(r, v, step) + f" {n}. " + say(r, {"n": n}, r.choice(CLOSE))


def two_steps(r, v, judge):
    question, kind = r.choice(TWO)
    a, b = numbers(r, judge, r.choice([15, 30]))
    d, m, k = r.randint(2, 12), r.randint(2, 9), r.randint(2, 9)
    v |= {"a": a, "b": b, "d": d, "m": m, "k": k, "q": 2 * r.randint(2, 15)}
    if kind == "+-":
        v["c"] = r.randint(2, a + b - 1)
        steps = [(a, "+", b), (a + b, "-", v["c"])]
    elif kind == "-+":
        v["c"] = r.randint(1, a - 1)
        steps = [(a, "-", v["c"]), (a - v["c"], "+", b)]
    elif kind == "++":
        steps = [(a, "+", b), (a + b, "+", d)]
    elif kind == "*+":
        steps = [(m, "x", k), (m * k, "+", d)]
    elif kind == "*-":
        v["e"] = r.randint(1, m * k - 1)
        steps = [(m, "x", k), (m * k, "-", v["e"])]
    elif kind == "*p":
        v["p"] = r.choice([p for p in (10, 20, 50, 100) if p > m * k])
        steps = [(m, "x", k), (v["p"], "-", m * k)]
    elif kind == "x+":
        steps = [(m, "x", k), (m * k, "+", k)]
    else:
        steps = [(v["q"], "/", 2), (v["q"] // 2, "+", d)]
    return say(r, v, question), worked(r, steps)


RESULT = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "x": lambda a, b: a * b, "/": lambda a, b: a // b}


def worked(r, steps):
    """The steps [(a, sign, b)] in words, and the answer, which is the last one's result."""
    done = [f"{a} {sign} {b} = {RESULT[sign](a, b)}." for a, sign, b in steps]
    if len(done) > 1:
        done = [f"{lead} {step}" for lead, step in zip(["First,"] + ["Then,"] * len(done), done)]
    a, sign, b = steps[-1]
    return " ".join(done) + " " + say(r, {"n": RESULT[sign](a, b)}, r.choice(CLOSE))


def problem(r, judge=False):
    """-> (question, answer with its steps)."""
    x = r.random()
    if x < 0.25:
        return plain(r, judge)
    v = people(r)
    v["t"] = r.choice(
        "apples pears cookies marbles stickers books pencils balloons shells stones coins cards flowers eggs buttons".split()
    )
    return one_step(r, v, judge) if x < 0.65 else two_steps(r, v, judge)
