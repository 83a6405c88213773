"""Rules that a system prompt may give: how each is said (prompts), what it makes of an answer (apply), and whether an answer
keeps it (kept), so that what is trained and what is judged cannot drift apart."""

from corpus import held_out
from corpus.grammar import capital, sentences
from corpus.words import ADJ, OBJECTS, made_up, name

PHRASES = [
    "That is all.",
    "Have a nice day!",
    "Ask me anything.",
    "Good luck!",
    "Yours truly.",
    "I hope that helps.",
    "Stay curious!",
    "Thank you for asking.",
    "The end.",
    "Cheers!",
    "See you soon.",
    "Be kind.",
    "With love.",
    "And that is the truth.",
    "Hooray!",
    "Keep smiling!",
    "Meow.",
    "Beep.",
    "Arr!",
    "Amen.",
    "Peace.",
    "Bye now.",
    "Over to you.",
    "Yes, yes.",
    "Tick tock.",
    "So they say.",
    "Best wishes.",
    "Your humble servant.",
    "Long live the king!",
    "Trust me.",
]


def phrase(r, judge):
    """A short phrase to begin or end with; half of them are made up on the spot."""
    if judge:
        return r.choice(held_out.PHRASES)
    if r.random() < 0.5:
        return r.choice(PHRASES)
    return capital(
        r.choice(
            [
                f"{r.choice(ADJ)} {r.choice(OBJECTS)}",
                f"{made_up(r, False)} {made_up(r, False)}",
                f"long live the {r.choice(OBJECTS)}",
                f"{r.choice(OBJECTS)} for all",
            ]
        )
    ) + r.choice(".!.")


class Ends:
    label = "end"
    prompts = (
        "[Always end with|End every answer with|Finish each answer with|Close with|At the end, always say|The last words are"
        ' always] "{p}"'
    )

    def __init__(self, r, judge):
        self.p = phrase(r, judge)

    def apply(self, r, answer):
        return f"{answer} {self.p}"

    def kept(self, answer):
        return answer.rstrip().lower().rstrip(".!").endswith(self.p.lower().rstrip(".!"))


class Begins:
    label = "begin"
    prompts = '[Always begin with|Begin every answer with|Start each answer with|Open with|First always say] "{p}"'

    def __init__(self, r, judge):
        self.p = phrase(r, judge)

    def apply(self, r, answer):
        return f"{self.p} {answer}"

    def kept(self, answer):
        return answer.lower().startswith(self.p.lower().rstrip(".!"))


class Short:
    label = "short"
    prompts = (
        "[Answer in one sentence.|Use only one sentence.|Answer with a single sentence.|Be very brief: one sentence.|One"
        " sentence only.|Keep it to one sentence.]"
    )

    def __init__(self, r, judge):
        pass

    def apply(self, r, answer):
        return sentences(answer.replace("\n", " "))[0]

    def kept(self, answer):
        return len(sentences(answer.replace("\n", " "))) == 1


class Upper:
    label = "upper"
    prompts = (
        "[Answer in capital letters.|Write everything in capitals.|USE ONLY CAPITAL LETTERS.|Shout: use capital letters"
        " only.|Write in upper case.]"
    )

    def __init__(self, r, judge):
        pass

    def apply(self, r, answer):
        return answer.upper()

    def kept(self, answer):
        return answer == answer.upper()


class Lower:
    label = "lower"
    prompts = "[Answer in small letters.|Use no capital letters.|write everything in lower case.|Write in lower case only.]"

    def __init__(self, r, judge):
        pass

    def apply(self, r, answer):
        return answer.lower()

    def kept(self, answer):
        return answer == answer.lower()


class Visitor:
    """Calls the visitor by name."""

    label = "visitor"
    prompts = (
        "[The user is called {p}. Use the name.|Call the user {p}.|You are talking to {p}. Say the name in every answer.|The"
        " visitor's name is {p}. Use it.]"
    )

    def __init__(self, r, judge):
        self.p = r.choice(held_out.NAMES[True] + held_out.NAMES[False]) if judge else name(r, r.random() < 0.5)

    def apply(self, r, answer):
        return f"{r.choice(['Well', 'So', 'Look', 'Now'])}, {self.p}: {answer}"

    def kept(self, answer):
        return self.p.lower() in answer.lower()


RULES = [Ends, Begins, Short, Upper, Lower, Visitor]

# What cannot be kept together: one sentence and a sentence more; two ways of writing letters.
APART = [("begin", "short"), ("end", "short"), ("lower", "upper")]
ORDER = ["short", "visitor", "begin", "end", "upper", "lower"]  # letters last


def rules_of(r, judge):
    """One rule, or two that go together; with judge, the two are a pair that training never has."""
    while True:
        chosen = [cls(r, judge) for cls in r.sample(RULES, 1 if r.random() < 0.65 else 2)]
        names = tuple(sorted(rule.label for rule in chosen))
        if names not in APART and (len(names) == 1 or (names in held_out.RULES) == judge):
            return sorted(chosen, key=lambda rule: ORDER.index(rule.label))
