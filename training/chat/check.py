"""Holds the corpus to its promises: nothing held out occurs in what is trained on, answers are right, rows are as they should be.

    python check.py            # half a minute; pack.py runs the first part too

A generator is random, so this draws many documents and looks; the seed is printed.
"""

import argparse
import random
import re
from collections import Counter

import judges
from corpus import held_out, mix, stories, sum_scenes, sum_templates, sums, system
from corpus.compose import compose
from corpus.plots import held_out as held_out_plots


def held_out_words():
    """-> [(what, pattern)] of everything that may not occur in a training document."""
    words = held_out.PEOPLE + held_out.ANIMALS + held_out.OBJECTS + [name for names in held_out.NAMES.values() for name in names]
    yield from ((word, re.compile(rf"\b{re.escape(word)}s?\b", re.I)) for word in words)
    yield from ((place, re.compile(rf"\b{re.escape(place)}\b", re.I)) for _, place in held_out.SITES)
    yield from ((phrase, re.compile(re.escape(phrase), re.I)) for phrase in held_out.PHRASES + held_out.UNKNOWN)
    for ask in held_out.ASKS:
        yield ask, re.compile(re.escape(ask).replace(re.escape("{x}"), ".*?"), re.I)
    for persona in held_out.PERSONAS:
        yield persona, re.compile(rf"\b(You are|Play|Act as|Talk like) an? {persona}\b")
    for opening, *_ in sum_scenes.HELD_OUT_PLACES:
        yield opening, re.compile(re.escape(opening).replace(r"\{n\}", r"\w+").replace(r"\{A\}", r"\w+"))
    for question in sum_scenes.HELD_OUT_HAVE_NOW:
        yield question, re.compile(re.escape(question.split("{t}")[0]))


def text_of(document):
    _, prompt, body = document
    return "\n".join(([prompt] if prompt else []) + ([body] if isinstance(body, str) else body))


def held_out_stays_out(count, seed):
    """Draws `count` documents; stops at the first that holds something held out."""
    overlap = {plot.__name__ for plot in stories.PLOTS} & {plot.__name__ for plot in held_out_plots.PLOTS}
    if overlap:
        raise SystemExit(f"plots both trained on and held out: {overlap}")
    draw = random.Random(f"{seed} check")
    patterns = list(held_out_words())
    any_of = re.compile("|".join(f"(?i:{pattern.pattern})" if pattern.flags & re.I else pattern.pattern for _, pattern in patterns))
    for i in range(count):
        text = text_of(mix.document(draw))
        if any_of.search(text):
            what = [what for what, pattern in patterns if pattern.search(text)]
            raise SystemExit(f"held out, but in document {i} of seed {seed}: {what} in\n{text[:600]}")
    print(f"check: {len(patterns)} held-out things, none of them in {count} documents (seed {seed})")


def drawn(what, count, seed, choices=(False, True)):
    """-> `count` times each of `choices`, with the generator to draw from, which goes on through all of them."""
    draw = random.Random(f"{seed} {what}")
    for judge in choices:
        for _ in range(count):
            yield draw, judge


def sums_are_right(count, seed):
    for draw, judge in drawn("sums", count, seed, (None, "chain", "scene", "phrasing")):
        problem = sums.problem(draw, judge)
        if sums.last_number(problem.answer) != problem.value:
            raise SystemExit(f"the answer is not {problem.value}: {problem.question!r} {problem.answer!r}")
        if (problem.chain in sum_scenes.HELD_OUT_CHAINS) != (judge == "chain"):
            raise SystemExit(f"chain {problem.chain!r} with judge={judge!r}")
        for a, sign, b, c in re.findall(r"(\d+) ([-+x/]) (\d+) = (\d+)", problem.answer):
            if sum_templates.RESULT[sign](int(a), int(b)) != int(c):
                raise SystemExit(f"{a} {sign} {b} is not {c}: {problem.question!r}")
    print(f"check: {4 * count} sums are right (seed {seed})")


def rules_are_kept(count, seed):
    """What a system prompt's rules make of an answer keeps them, by the judge's own measure."""
    for draw, judge in drawn("rules", count, seed):
        prompt, turns, rules = system.with_rules(draw, judge)
        for answer in turns[1::2]:
            for rule in rules:
                if not rule.kept(answer):
                    raise SystemExit(f"{prompt!r} is not kept by {answer!r} ({rule.label})")
    print(f"check: rules of {2 * count} system prompts are kept (seed {seed})")


def judges_accept(count, seed):
    """A story holds every word that its request names, and the answers under a system prompt what is asked of them."""
    for draw, judge in drawn("judges", count, seed):
        made = compose(draw, judge)
        request, must = stories.request(draw, made.asked, judge)
        if not judges.has(*must)(made.text):
            raise SystemExit(f"{request!r} asks for {must}, but the story is {made.text!r}")
        prompt, turns, words = system.with_persona(draw, True)
        if not judges.has(*words)(turns[1]):
            raise SystemExit(f"{prompt!r} asks for {words}, but the answer is {turns[1]!r}")
    print(f"check: the judges accept {2 * count} stories and as many answers (seed {seed})")


def shares(count, seed):
    draw, size = random.Random(f"{seed} shares"), Counter()
    for _ in range(count):
        document = mix.document(draw)
        size[document[0]] += len(text_of(document))
    total = sum(size.values())
    print("shares of the characters:", ", ".join(f"{kind} {100 * n / total:.0f} %" for kind, n in size.most_common()))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--documents", type=int, default=20_000)
    arguments.add_argument("--seed", type=int, default=4)
    options = arguments.parse_args()
    held_out_stays_out(options.documents, options.seed)
    sums_are_right(options.documents // 10, options.seed)
    rules_are_kept(options.documents // 20, options.seed)
    judges_accept(options.documents // 20, options.seed)
    shares(options.documents // 2, options.seed)


if __name__ == "__main__":
    main()
