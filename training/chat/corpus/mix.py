"""What the model learns from, in which shares: a document is a text, or a conversation with or without a system prompt."""

from corpus import facts, lantern, small_talk, stories, sums, sum_templates
from corpus.followups import follow_up
from corpus.grammar import say
from corpus.system import with_system
from corpus.unknown import unknown

# (share of the documents, kind). A story has some 200 tokens, a sum 50, so the shares of the tokens differ: check.py prints them.
KINDS = {
    "text": 0.10, "story": 0.13, "continue": 0.03, "sum": 0.34, "numbers": 0.02, "talk": 0.06, "lantern": 0.03, "fact": 0.04,
    "unknown": 0.03, "follow": 0.08, "system": 0.11, "mixed": 0.03,
}
OPEN = ["Go on: {o}", "Continue this story: {o}", "How does this story go on? {o}", "{o}", "{o}", "Please continue: {o}", "Finish this story: {o}"]


def continued(r):
    """The beginning of a story, and how it goes on."""
    text = stories.story(r).text
    ends = [at for at in (text.find(". "), text.find(". ", 90), text.find(". ", 180)) if 0 < at < 300]
    if not ends:
        return [r.choice(stories.ASKS_ANY), text]
    at = r.choice(ends) + 1
    return [say(r, {"o": text[:at].strip().replace("[", "").replace("{", "")}, r.choice(OPEN)), text[at:].strip()]


def sum_pair(r):
    if r.random() < 0.3:
        return list(sum_templates.problem(r))
    problem = sums.problem(r)
    return [problem.question, problem.answer]


def fact(r):
    return list(facts.thing(r) if r.random() < 0.55 else facts.question(r))


def several(r):
    """Turns that have nothing to do with each other."""
    turns = []
    for _ in range(r.choice([2, 2, 3, 3, 4])):
        turns += r.choice([small_talk.small_talk, small_talk.small_talk, lantern.about_lantern, fact, fact, sum_pair, unknown])(r)
    return turns


def asked_story(r):
    request, made, _ = stories.told(r)
    return [request, r.choice(stories.LEADS) + made.text]


CONVERSATIONS = {
    "story": asked_story, "continue": continued, "sum": sum_pair, "numbers": lambda r: list(sums.about_numbers(r)),
    "talk": lambda r: list(small_talk.small_talk(r)), "lantern": lambda r: list(lantern.about_lantern(r)), "fact": fact,
    "unknown": lambda r: list(unknown(r)), "follow": follow_up, "mixed": several,
}
NAMES, WEIGHTS = list(KINDS), list(KINDS.values())


def document(r):
    """-> (kind, system prompt or None, text or [user, assistant, …])."""
    kind = r.choices(NAMES, WEIGHTS)[0]
    if kind == "text":
        return kind, None, stories.story(r).text
    if kind == "system":
        return kind, *with_system(r)
    return kind, None, CONVERSATIONS[kind](r)
