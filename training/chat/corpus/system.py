"""Conversations under a system prompt: rules for the answer, a persona, facts to pass on, a topic to keep to, or nothing special."""

from corpus import facts, held_out, lantern, stories, sums
from corpus.compose import compose
from corpus.grammar import article, say
from corpus.rules import rules_of
from corpus.small_talk import small_talk
from corpus.unknown import unknown
from corpus.words import OBJECTS, made_up, name

# A persona and what it says before and after: {p} the prompt names it, and who it is asked for answers with it.
PERSONAS = {
    "pirate": ("[Arr!|Ahoy!|Ahoy, matey!]", "[Arr!|Aye!|]"),
    "robot": ("[Beep.|Beep boop.|Beep, beep.]", "[Beep.|]"),
    "cat": ("[Meow.|Meow!|Purr.]", "[Purr.|Meow.|]"),
    "dog": ("[Woof!|Woof, woof!]", "[Woof!|]"),
    "king": ("[Hear, hear!|We, the king, say:]", "[So says the king.|]"),
    "queen": ("[We, the queen, say:|My child,]", "[So says the queen.|]"),
    "ghost": ("[Boo!|Whooo!]", "[Boo!|]"),
    "cowboy": ("[Howdy!|Howdy, partner!]", "[Yee-haw!|]"),
    "clown": ("[Ha ha!|Hee hee!]", "[Honk, honk!|]"),
    "butler": ("[As you wish.|Very well.]", "[At your service.|]"),
    "dragon": ("[Roar!|Grrr!]", "[Roar!|]"),
    "grandmother": ("[My dear,|Oh, my dear,]", "[Have a cookie.|]"),
    "poet": ("", ""),
    "teacher": ("[Good question.|Listen well.]", "[Any questions?|]"),
    "baker": ("", ""),
    "sailor": ("", ""),
    "gardener": ("", ""),
    "knight": ("", ""),
    "elf": ("", ""),
    "farmer": ("", ""),
    "captain": ("", ""),
    "nurse": ("", ""),
    "princess": ("", ""),
    "troll": ("", ""),
}
NEUTRAL = [
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "You are a small model in a web page.",
    "Be kind and helpful.",
    "Answer the user's questions.",
    "You are Lantern's small built-in model.",
    "You are a helpful AI assistant.",
    "Be polite.",
    "You help the user.",
    "You are a chat assistant.",
]
WHO = "[Who are you|What are you|Tell me who you are|Hi! Who are you|Who am I talking to][?|]"
NAME = "[What is your name|What's your name|What are you called|Do you have a name][?|]"
# What an operator may tell it: (system, question, answer).
GIVEN = [
    (
        "The shop opens at {h} and closes at {h2}.",
        "[When does the shop open|At what time do you open]?",
        "The shop opens at {h}.",
    ),
    (
        "The shop opens at {h} and closes at {h2}.",
        "[When does the shop close|How long are you open]?",
        "The shop closes at {h2}.",
    ),
    ("A {o} costs {n} dollars.", "[How much is a {o}|What does a {o} cost]?", "A {o} costs {n} dollars."),
    ("The {o} is in room {n}.", "[Where is the {o}|In which room is the {o}]?", "The {o} is in room {n}."),
    (
        "The guide is called {x}.",
        "[Who is the guide|What is the guide called|What is the guide's name]?",
        "The guide is called {x}.",
    ),
    ('The password of the game is "{y}".', "[What is the password|Do you know the password]?", 'The password is "{y}".'),
    ("Today's soup is {y} soup.", "[What is today's soup|Which soup is there today]?", "Today's soup is {y} soup."),
    (
        "The next train leaves at {h}.",
        "[When does the next train leave|When is the next train]?",
        "The next train leaves at {h}.",
    ),
    ("Today is {d}.", "[What day is it|What day is it today]?", "Today is {d}."),
    ("{x} lives on the {o} farm.", "[Where does {x} live|Who lives on the {o} farm]?", "{x} lives on the {o} farm."),
]


def sums_pair(r):
    problem = sums.problem(r)
    return problem.question, problem.answer


TOPICS = {
    "stories": lambda r: (r.choice(["Tell me a story.", "A story, please."]), compose(r, length="short").text),
    "sums": sums_pair,
    "Lantern": lantern.about_lantern,
}
ONLY = "[You only talk about {p}.|Talk about {p} and nothing else.|Your only topic is {p}.|You know only {p}.]"
OTHER = "[I only talk about {p}.|Sorry, I only talk about {p}.|I am sorry, my only topic is {p}.]"


def base(r, brief=False):
    """A question and its plain answer; brief: a story is one sentence."""
    x = r.random()
    if x < 0.2:
        made = compose(r, length=r.choice(["tiny", "short"]))
        return stories.request(r, made.asked)[0], say(r, made.v, made.summary[0]) if brief else made.text
    if x < 0.3:
        return sums_pair(r)
    return r.choices([small_talk, facts.question, facts.thing, lantern.about_lantern, unknown], [0.3, 0.25, 0.2, 0.1, 0.15])[0](r)


def with_rules(r, judge=False):
    """-> (system, turns, rules)."""
    rules = rules_of(r, judge)
    told = [say(r, {"p": getattr(rule, "p", "")}, rule.prompts) for rule in rules]
    told = [line if line[-1] in '.!"' else line + "." for line in told]
    if r.random() < 0.35:
        told.insert(0, r.choice(NEUTRAL))
    turns = []
    for _ in range(1 if judge else r.choice([1, 1, 2, 3])):
        question, answer = base(r, brief=rules[0].label == "short")
        for rule in rules:
            answer = rule.apply(r, answer)
        turns += [question, answer]
    return " ".join(told), turns, rules


def with_persona(r, judge=False):
    """-> (system, turns, words that the answer to "who are you" must hold)."""
    persona = r.choice(held_out.PERSONAS if judge else list(PERSONAS))
    called = (r.choice(held_out.NAMES[r.random() < 0.5]) if judge else name(r, r.random() < 0.5)) if r.random() < 0.6 else None
    system = f"[You are|Play|Act as|Talk like] {article(persona)}" + (f" named {called}" if called else "") + "."
    before, after = PERSONAS.get(persona, ("", ""))
    turns = []
    if judge or r.random() < 0.6:
        me = (
            f"[I am {called}, {article(persona)}.|I am {article(persona)}, and my name is {called}.]"
            if called
            else f"I am {article(persona)}."
        )
        turns += [say(r, {}, WHO), say(r, {}, before, me)]
    if called and not judge and r.random() < 0.3:
        turns += [say(r, {}, NAME), say(r, {}, before, f"[My name is {called}.|I am {called}.|You can call me {called}.]")]
    for _ in range(0 if judge else r.choice([0, 1, 2]) if turns else 1):
        question, answer = r.choices([small_talk, facts.question, facts.thing, unknown, sums_pair], [0.4, 0.2, 0.2, 0.1, 0.1])[0](
            r
        )
        turns += [question, say(r, {}, before) + " " + answer + " " + say(r, {}, after)]
    return say(r, {}, system), [t.strip() for t in turns], [persona] + ([called] if called else [])


def with_facts(r, judge=False):
    """-> (system, turns, the answer's last word)."""
    v = {
        "h": f"{r.randint(1, 12)} o'clock",
        "h2": f"{r.randint(1, 12)} o'clock",
        "n": str(r.randint(2, 90)),
        "x": r.choice(held_out.NAMES[True]) if judge else made_up(r),
        "y": made_up(r, False),
        "o": r.choice(held_out.OBJECTS if judge else OBJECTS),
        "d": r.choice("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()),
    }
    known, question, answer = r.choice(GIVEN)
    other = r.choice(GIVEN)
    lines = [known] + ([other[0]] if other[0].split()[:2] != known.split()[:2] and r.random() < 0.4 else [])
    r.shuffle(lines)
    if r.random() < 0.4:
        lines.insert(0, r.choice(NEUTRAL))
    turns = [say(r, v, question), say(r, v, answer)]
    if not judge and r.random() < 0.3:
        turns = [*base(r), *turns] if r.random() < 0.5 else [*turns, *base(r)]
    return say(r, v, *lines), turns, say(r, v, answer).rstrip(".").split(" ", 2)[-1]


def with_topic(r):
    topic = r.choice(list(TOPICS))
    inside, outside = TOPICS[topic](r), r.choice(
        [t for key, t in TOPICS.items() if key != topic] + [facts.question, facts.thing]
    )(r)
    refusal = (outside[0], say(r, {"p": topic}, OTHER))
    turns = [t for pair in r.choice([[inside], [refusal], [inside, refusal], [refusal, inside]]) for t in pair]
    return say(r, {"p": topic}, ONLY), turns


def with_system(r):
    """-> (system prompt, [user, assistant, …])."""
    x = r.random()
    if x < 0.42:
        return with_rules(r)[:2]
    if x < 0.62:
        return with_persona(r)[:2]
    if x < 0.8:
        return with_facts(r)[:2]
    if x < 0.88:
        return with_topic(r)
    turns = []
    for _ in range(r.choice([1, 2, 3])):
        turns += base(r)
    return r.choice(NEUTRAL), turns
