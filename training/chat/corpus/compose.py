"""Stories put together from what is asked for: who, with whom, about which thing, where, how long, and with which ending.

compose() takes any of these and draws the rest, so that a request is followed by taking its words and not by knowing its
plot. Some names, kinds and things are made-up words: those can only be copied.
"""

from dataclasses import dataclass, field

from corpus import held_out
from corpus.arcs import ARCS, ENCOUNTERS, ENDINGS, HAS, OPENINGS
from corpus.cast import cast, person
from corpus.grammar import capital, say
from corpus.words import ANIMALS, MORE_ANIMALS, OBJECT_TRAITS, OBJECTS, PEOPLE, SITES, TRAITS, made_up, name


@dataclass
class Story:
    text: str
    v: dict  # its variables
    plot: str
    asked: dict = field(default_factory=dict)  # the elements a request may name: what -> phrase
    summary: list = field(default_factory=list)  # the same in one or two sentences, to be grown
    questions: list = field(default_factory=list)  # (question, answer), to be grown

    def shorter(self, r):
        return say(r, self.v, *self.summary)

    def ask(self, r):
        """-> (question about the story, answer)."""
        question, answer = r.choice(self.questions)
        return say(r, self.v, question), say(r, self.v, answer)


ENDING_ASKED = {
    "happy": "[a happy ending|a good ending]", "sad": "a sad ending", "funny": "a funny ending", "surprising": "[a surprising ending|a surprise at the end]",
    "party": "[a party at the end|a big party at the end]", "quiet": "[a quiet ending|an ending for bedtime]",
}
FEMALE = set("queen princess witch fairy mermaid grandmother aunt cow hen".split())
MALE = set("king prince wizard uncle grandfather cowboy rooster bull snowman fisherman postman mailman".split())


def kind(r, judge):
    if judge:
        return r.choice(held_out.PEOPLE + held_out.ANIMALS)
    if r.random() < 0.04:
        return made_up(r, capital=False)
    return r.choice(PEOPLE if r.random() < 0.45 else ANIMALS + MORE_ANIMALS)


def draw(r, judge=False):
    """The elements of a story; with judge from what is held out."""
    v = cast(r)
    kinds = [kind(r, judge)]
    while len(kinds) < 2:
        other = kind(r, judge)
        if other != kinds[0]:
            kinds.append(other)
    names = []
    for key, what in zip("AB", kinds):
        female = what in FEMALE or (what not in MALE and r.random() < 0.5)
        while True:
            called = r.choice(held_out.NAMES[female]) if judge else name(r, female)
            if called not in names:
                break
        names.append(called)
        person(v, key, called, what, female)
        v[key + "f"] = female
    v["t"], v["bt"] = r.sample(TRAITS, 2)
    v["thing"] = r.choice(held_out.OBJECTS if judge else OBJECTS)
    if not judge and r.random() < 0.03:
        v["thing"] = made_up(r, capital=False)
    v["objtrait"] = r.choice(OBJECT_TRAITS)
    v["obj"] = f"{v['objtrait']} {v['thing']}" if r.random() < 0.7 else v["thing"]
    v["where"], v["place"] = r.choice(held_out.SITES if judge else SITES)
    v["at"] = f"{v['where']} {v['place']}"
    v["At"] = capital(v["at"])
    v["day2"] = r.choice(["[Then, one day|One day]", "[A week later|Soon after that]", "Then, one morning"])
    return v


def compose(r, judge=False, fixed=None, length=None, ending=None):
    """-> Story. fixed: variables that are given, such as {"Ak": "fox"}; length: "tiny", "short", "normal" or "long"."""
    v = draw(r, judge)
    if fixed:
        v |= fixed
    length = length or r.choices(["tiny", "short", "normal", "long"], [0.06, 0.24, 0.5, 0.2])[0]
    ending = ending or r.choice(["happy", "happy", "happy", "funny", "surprising", "party", "quiet", "quiet", "sad", "moral"])
    arc = r.choice(ARCS)
    opening = [r.choice(OPENINGS)] + ([r.choice(HAS)] if arc["has"] else [])
    summary = "{A} the {Ak} " + arc["summary"] + "."
    last = say(r, v, f"[And so {{A}} learned that {arc['moral']}.|The moral is: {arc['moral']}.]" if ending == "moral" else r.choice(ENDINGS[ending]))
    if length == "tiny":
        text = say(r, v, "[Once there was a|There was a] {t} {Ak} named {A} {at}.", "[One day, {he}|{He}] " + arc["summary"] + ".") + " " + last
    elif length == "short":
        text = say(r, v, *opening, arc["problem"], arc["meeting"], arc["turn"]) + " " + last
    else:
        extra = r.sample(ENCOUNTERS, r.choice([1, 2, 3])) if length == "long" else []
        text = say(r, v, *opening, "/", arc["problem"], *extra[:1], "/", arc["meeting"], *extra[1:], "/", arc["turn"]) + r.choice([" ", "\n"]) + last
    first = r.choice([summary, "Once there was a {t} {Ak} named {A} {at}. {A} " + arc["summary"] + "."])
    story = Story(text, v, "composed", summary=[first, last], questions=questions(arc, summary, last))
    story.asked = {
        "kind": v["Ak"], "name": v["A"], "trait": v["t"], "friend": v["Bk"], "friend_name": v["B"], "thing": v["obj"], "site": v["at"],
        "ending": ending, "length": length,
    }
    return story


def questions(arc, summary, last):
    """What can be asked about the story, with its answers."""
    return [
        ("[What was the {Ak}'s name?|What was {his} name?|What is the {Ak} called?|What was the name of the {Ak}?|Who is the story about?]", "[{His} name was {A}.|The {Ak} was called {A}.|It is about {A} the {Ak}.]"),
        ("[Who was {A}?|What was {A}?|Who is {A}?]", "{A} was a {t} {Ak}."),
        ("[Who was {B}?|Who is {B}?|What was {B}?]", "{B} was a {bt} {Bk}."),
        ("[Where did {A} live?|Where did it happen?|Where was {A}?|Where was that?]", "[It happened {at}.|That was {at}.|{A} was {at}.]"),
        ("[What was the {Bk}'s name?|What was the name of the {Bk}?|What was {A}'s friend called?]", "The {Bk} was called {B}."),
        ("[What was the {thing} like?|Which {thing} was it?]", "It was a {obj}."),
        (arc["ask"], arc["why"]),
        ("[What did {A} learn?|What is the moral?|What can we learn from it?]", f"{{A}} learned that {arc['moral']}."),
        ("[What happened?|What is it about?|Tell me in one sentence what happened.|Say it in one sentence.]", summary),
        ("[How did it end?|How does the story end?|What happened at the end?|What happened in the end?]", last),
        ("[How did {A} feel?|Was {A} alone?|Did {A} have a friend?]", "[{A} was not alone: {B} the {Bk} was there.|{A} had {B} the {Bk}.]"),
    ]
