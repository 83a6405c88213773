"""What a model is judged by: sets of (system prompt, turns, is the answer right). Everything in them is held out of training.

The checks look for what must be there (a number, a name, a phrase), not for taste: they say whether it heeds, not whether it
charms. For that there are the samples.
"""

import json
import random
import re
from dataclasses import dataclass
from typing import Callable

from corpus import facts, held_out, stories, sum_templates, sums, system, unknown
from corpus.compose import compose
from corpus.grammar import say

STORY_TOKENS, ANSWER_TOKENS = 400, 90


@dataclass
class Case:
    turns: list  # [user, assistant, …, user]
    right: Callable  # answer -> bool
    system: str | None = None
    tokens: int = ANSWER_TOKENS


def has(*words):
    """Does every word stand in the answer, as a word?"""
    return lambda answer: all(re.search(rf"\b{re.escape(w)}\b", answer, re.I) for w in words)


def comes_to(value):
    return lambda answer: sums.last_number(answer) == value


def sums_templates(r):
    """Version 3's own templates, with pairs of numbers that neither version was trained on."""
    question, answer = sum_templates.problem(r, judge=True)
    return Case([question], comes_to(sums.last_number(answer)))


def composed_sum(judge):
    def case(r):
        problem = sums.problem(r, judge)
        return Case([problem.question], comes_to(problem.value))

    return case


def sums_goes_on(r):
    before = sums.problem(r, "chain")
    problem = sums.goes_on(r, before)
    return Case([before.question, before.answer, problem.question], comes_to(problem.value))


def story_asked(r):
    """Elements and phrasing of the request are held out: do the words occur in the story?"""
    request, must = stories.told_to_judge(r)
    return Case([request], has(*must), tokens=STORY_TOKENS)


# Template of the question -> what the answer has to hold.
ABOUT_STORY = [("What was the {Ak}'s name?", ["A"]), ("Who was {A}?", ["Ak"]), ("Who was {B}?", ["Bk"]), ("Where did {A} live?", ["place"]), ("What was the {Bk}'s name?", ["B"])]


def story_question(r):
    made = compose(r, judge=True, length="short")
    question, keys = r.choice(ABOUT_STORY)
    return Case(["Tell me a story.", made.text, say(r, made.v, question)], has(*(made.v[k] for k in keys)))


def story_shorter(r):
    made = compose(r, judge=True, length="normal")
    shorter = lambda answer: 0 < len(answer) < 0.6 * len(made.text) and has(made.v["A"])(answer)
    return Case(["Tell me a story.", made.text, "Make it shorter."], shorter)


def remembers(r):
    visitor = r.choice(held_out.NAMES[r.random() < 0.5])
    between = [t for _ in range(r.choice([0, 1, 2])) for t in facts.question(r)]
    return Case([f"My name is {visitor}.", f"Hello, {visitor}!", *between, r.choice(["What is my name?", "Do you remember my name?"])], has(visitor))


def system_rules(r):
    prompt, turns, rules = system.with_rules(r, judge=True)
    return Case(turns[:1], lambda answer: bool(answer) and all(rule.kept(answer) for rule in rules), prompt, STORY_TOKENS)


def system_persona(r):
    prompt, turns, words = system.with_persona(r, judge=True)
    return Case(turns[:1], has(*words), prompt)


def system_facts(r):
    prompt, turns, key = system.with_facts(r, judge=True)
    return Case(turns[:1], lambda answer: key.lower() in answer.lower(), prompt)


def does_not_know(r):
    return Case([r.choice(held_out.UNKNOWN)], unknown.is_honest)


SUMS = {"sums_templates": sums_templates, "sums_composed": composed_sum(None), "sums_new_chain": composed_sum("chain"),
        "sums_new_scene": composed_sum("scene"), "sums_new_phrasing": composed_sum("phrasing"), "sums_going_on": sums_goes_on}
OTHERS = {"story_asked": story_asked, "story_question": story_question, "story_shorter": story_shorter, "remembers_name": remembers,
          "system_rules": system_rules, "system_persona": system_persona, "system_facts": system_facts, "does_not_know": does_not_know}


def cases(judge, count, seed):
    """`count` cases, a function of (name of the set, seed)."""
    return [judge(random.Random(f"{seed} {i}")) for i in range(count)]


def svamp(path, count, seed):
    """Problems that nobody here wrote (SVAMP, MIT): one or two steps, often with a number that does not matter."""
    problems = json.loads(path.read_text())
    chosen = random.Random(seed).sample(problems, min(count, len(problems)))
    return [Case([f"{p['Body'].rstrip('. ')}. {p['Question']}"], comes_to(round(p["Answer"]))) for p in chosen]


def held_out_plots(count, seed):
    """Texts of plots that nothing was trained on."""
    return [stories.held_out_story(random.Random(f"{seed} plot {i}")).text for i in range(count)]


# The same for every version, shown as they come out. (system, turns) or a text to go on with.
PROMPTS = [
    "Once upon a time, there was a little dragon named Milo.", "Once upon a time", "One day, a girl named Lily found a key in the garden.",
    "The old lighthouse was very quiet.", "Tom and his dog Rex went to the moon.", "There once was a rabbit who could not hop.",
    (None, ["Tell me a story about a fox."]), (None, ["Tell me a story about a princess and a frog."]), (None, ["Write a story about a small robot."]),
    (None, ["Tell me a story."]), (None, ["Hi!"]), (None, ["Hello, how are you today?"]), (None, ["Who are you?"]), (None, ["What is Lantern?"]),
    (None, ["Where do you run?"]), (None, ["What is quantization?"]), (None, ["I am sad today."]), (None, ["My dog is sick. What should I do?"]),
    (None, ["Tell me a joke."]), (None, ["Write a poem about the sea."]), (None, ["Why is the sky blue?"]), (None, ["What is a volcano?"]),
    (None, ["What do you know about elephants?"]), (None, ["How do I make pizza?"]), (None, ["What is the best thing about summer?"]),
    (None, ["Tom has 12 apples. He gives 5 to Anna. How many apples does Tom have left?"]),
    (None, ["There are 4 boxes with 6 pencils in each box. How many pencils are there in all?"]), (None, ["What is 7 + 8?"]),
    (None, ["Mia has 9 coins. She finds 14 more and then loses 6. How many coins does she have now?"]),
    (None, ["My name is Clara.", "Hello, Clara! How are you today?", "I am fine. What is my name?"]),
    (None, ["Tell me about cats.", "Cats are small pets with soft fur. They like to sleep and play.", "What do they eat?"]),
    (None, ["I like to play football. What about you?"]),
    (None, ["12 apples, gives 5, buys 8 more. How many?"]), (None, ["Tell me a story about a plumber named Boris and a broken accordion, with a happy ending."]),
    (None, ["Write a very short story about a walrus in the subway."]), (None, ["What did I eat for breakfast?"]),
    ("Answer in one sentence.", ["What is a horse?"]), ("You are a pirate.", ["Who are you?"]), ("Always end with \"So it is written.\"", ["Why is the sky blue?"]),
    ("The museum opens at 9 o'clock.", ["When does the museum open?"]),
]
