"""Text with choices: "[One day|Later], {A} went [home|to {place}]." Brackets nest; an empty choice is allowed."""

import re
from functools import lru_cache


@lru_cache(maxsize=None)
def parse(text):
    """-> a list of strings, tuples (the choices, each such a list) and dicts (one variable's name)."""
    at = 0

    def sequence(inside):
        nonlocal at
        out, run = [], []

        def flush():
            if run:
                out.append("".join(run))
                run.clear()

        while at < len(text):
            c = text[at]
            if inside and c in "|]":
                break
            if c == "[":
                flush()
                at += 1
                options = [sequence(True)]
                while text[at] == "|":
                    at += 1
                    options.append(sequence(True))
                if text[at] != "]":
                    raise ValueError(f"a choice is not closed: {text}")
                at += 1
                out.append(tuple(options))
            elif c == "{":
                flush()
                end = text.index("}", at)
                out.append({text[at + 1 : end]: 1})
                at = end + 1
            else:
                run.append(c)
                at += 1
        flush()
        return out

    tree = sequence(False)
    if at != len(text):
        raise ValueError(f"a bracket too many: {text}")
    return tree


def grow(tree, r, v, out):
    """Appends one reading of the tree to `out`. A variable's value may hold choices of its own."""
    for part in tree:
        if type(part) is str:
            out.append(part)
        elif type(part) is tuple:
            grow(part[int(r.random() * len(part))], r, v, out)
        else:
            (name,) = part
            value = v[name]
            if type(value) is str and ("[" in value or "{" in value):
                grow(parse(value), r, v, out)
            else:
                out.append(str(value))


def say(r, v, *texts):
    """Grows the texts with the variables v and joins them with spaces ("/" alone: a new paragraph)."""
    parts = []
    for text in texts:
        if text == "/":
            parts.append("\n")
            continue
        out = []
        grow(parse(text), r, v, out)
        parts.append("".join(out).strip())
    return tidy(" ".join(p for p in parts if p))


AN = re.compile(r"\b([Aa]) (?=[aeioAEIO]|u(?!ni|se|ku)|U(?!ni|se))")
AN_SILENT_H = re.compile(r"\b([Aa]) (?=hour|honest)")
A_ONE = re.compile(r"\b([Aa])n (?=one\b|once\b)")


def tidy(text):
    """Articles and spaces as they should be."""
    text = re.sub(r"[ \t]+", " ", text)
    text = AN.sub(r"\1n ", text)
    text = AN_SILENT_H.sub(r"\1n ", text)
    text = A_ONE.sub(r"\1 ", text)
    text = re.sub(r" *\n *", "\n", text)
    text = re.sub(r" ([.,!?])", r"\1", text)
    return text.strip()


def capital(text):
    return text[:1].upper() + text[1:]


def article(noun):
    return tidy("a " + noun)


SENTENCE_END = re.compile(r'(?:(?<=[.!?])|(?<=[.!?]"))\s+(?=[A-Z"0-9])')


def sentences(text):
    """The sentences of a text, quotes and all, without the spaces between."""
    return SENTENCE_END.split(text.strip())
