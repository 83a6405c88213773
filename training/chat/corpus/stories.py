"""Stories and how they are asked for: the plots, the composed ones, requests with one or several elements."""

import re

from corpus import held_out
from corpus.compose import ENDING_ASKED, Story, compose
from corpus.grammar import article, capital, say, sentences, tidy
from corpus.plots import courage, fables, friends, home, more, wonder
from corpus.plots import held_out as held_out_plots
from corpus.words import BOYS, GIRLS

PLOTS = friends.PLOTS + home.PLOTS + courage.PLOTS + fables.PLOTS + wonder.PLOTS * 2 + more.PLOTS * 2
# Plots whose own words are the only fair request: "a fox" would not lead to them.
SPECIAL = set("""
roles trip feast pet show door engine cloud king baby race caterpillar dragon lighthouse rumor letter shadow bridge clockwork wall
""".split())
# More than one voice: some end with a line.
TAILS = ["", "", "", "", "", "", "\nThe end.", "\nThe End.", " The end."]
ASKS = [
    "Tell me a story about {x}.",
    "Tell me a story about {x}.",
    "Can you tell me a story about {x}?",
    "Write a short story about {x}.",
    "Write a story about {x}.",
    "I want to hear a story about {x}.",
    "A story about {x}, please.",
    "Please tell me a story about {x}.",
    "Story about {x}",
    "Do you know a story about {x}?",
    "Make up a story about {x}.",
    "tell me a story about {x}",
    "I would like a story about {x}.",
    "Tell me about {x}, as a story.",
    "Tell a tale of {x}.",
    "Write me something about {x}, a little story.",
    "My child wants a story about {x}.",
    "A bedtime story about {x}",
    "Can I have a story with {x}?",
    "Give me a story with {x} in it.",
    "story: {x}",
]
ASKS_ANY = [
    "Tell me a story.",
    "Can you tell me a story?",
    "Tell me a bedtime story.",
    "Please tell me a story.",
    "A story, please.",
    "Once upon a time?",
    "I want to hear a story.",
    "Do you know a story?",
    "Write a story.",
    "Tell me something nice before I sleep.",
    "tell me a story",
    "story",
]
LEADS = ["", "", "", "", "", "Of course! ", "Gladly! ", "Sure! ", "Here is a story. ", "Yes! "]
LENGTHS = {
    "tiny": "[a very short story|a tiny story|a story in a few sentences|a really short story]",
    "short": "a short story",
    "normal": "a story",
    "long": "[a long story|a longer story]",
}


def plot_story(r, plots=PLOTS):
    """A story out of one of the plots. -> Story."""
    plot = r.choice(plots)
    v, text = plot(r)
    text += r.choice(TAILS)
    lines = sentences(text.replace("\n", " "))
    story = Story(text, v, plot.__name__, {"topic": topic(r, v, text, plot.__name__)})
    story.summary = [" ".join([lines[0], *lines[-3:-1]]) if len(lines) > 5 else text]
    if v["A"] in text and v["Ak"] in text:
        story.questions = [
            (
                "[What was {his} name?|Who is the story about?|What is the {Ak} called?]",
                "[{His} name was {A}.|The {Ak} was called {A}.]",
            ),
            ("[Who was {A}?|Who is {A}?]", "{A} was a {Ak}."),
        ]
        if v["B"] in text and v["Bk"] in text:
            story.questions += [("[Who was {B}?|Who is {B}?|Who was there besides {A}?]", "{B} was a {Bk}.")]
    end = " ".join(line for line in lines[-3:] if not line.lower().startswith("the end"))
    story.questions.append(("[How did it end?|How does the story end?|What happened at the end?]", end))
    return story


def topic(r, v, text, plot):
    """What somebody may have asked for to get this story."""
    x = r.random()
    if plot in SPECIAL or x < 0.4 or v["A"] not in text:
        return tidy(v["about"])
    who = article(v["Ak"])
    if x < 0.6:
        return who
    if x < 0.75:
        return f"{who} named {v['A']}"
    if x < 0.9 and v["B"] in text and v["Bk"] in text:
        return f"{who} and {article(v['Bk'])}"
    return v["A"]


def story(r):
    """Any story for training. -> Story."""
    return plot_story(r) if r.random() < 0.45 else compose(r)


def request(r, asked, judge=False):
    """A request that names some elements of a composed story. -> (text, the words that must occur in the story)."""
    who = article(f"{asked['trait']} {asked['kind']}" if r.random() < 0.35 else asked["kind"])
    must = [asked["kind"]]
    if r.random() < 0.4:
        who += r.choice([" named ", " named ", " called "]) + asked["name"]
        must.append(asked["name"])
    elif r.random() < 0.12:
        who, must = asked["name"], [asked["name"]]
    parts = [who]
    if r.random() < 0.35:
        parts.append(article(asked["friend"]) + (f" named {asked['friend_name']}" if r.random() < 0.3 else ""))
        must.append(asked["friend"])
    if r.random() < 0.45:
        parts.append(article(asked["thing"]))
        must.append(asked["thing"])
    if r.random() < 0.12:  # a thing alone
        parts, must = [article(asked["thing"])], [asked["thing"]]
    text = ", ".join(parts[:-1]) + (" and " if parts[:-1] else "") + parts[-1]
    if r.random() < 0.3:
        text += " " + asked["site"]
        must.append(asked["site"].split(" ", 1)[1])
    template = r.choice(held_out.ASKS if judge else ASKS)
    if not judge and asked["length"] != "normal" and r.random() < 0.7:
        length = say(r, {}, LENGTHS[asked["length"]])
        template = r.choice(
            [
                f"Tell me {length} about {{x}}.",
                f"Write {length} about {{x}}.",
                f"{capital(length)} about {{x}}, please.",
                f"I want {length} about {{x}}.",
            ]
        )
    text = template.replace("{x}", text)
    if asked["ending"] in ENDING_ASKED and r.random() < 0.35:
        ending = say(r, {}, ENDING_ASKED[asked["ending"]])
        text = text.rstrip(".?") + r.choice(
            [f", with {ending}.", f". It should have {ending}.", f" with {ending}", f". Please give it {ending}."]
        )
    return text, must


def told(r):
    """-> (request, Story, words that must occur). One in eight asks for nothing in particular."""
    if r.random() < 0.12:
        return r.choice(ASKS_ANY), story(r), []
    if r.random() < 0.35:
        made = plot_story(r)
        return r.choice(ASKS).replace("{x}", made.asked["topic"]), made, []
    made = compose(r)
    text, must = request(r, made.asked)
    return text, made, must


def told_to_judge(r):
    """A request whose every element and phrasing is held out. -> (request, the words that must occur)."""
    return request(r, compose(r, judge=True).asked, judge=True)


def held_out_story(r):
    """A story out of a plot that nothing was trained on."""
    return plot_story(r, held_out_plots.PLOTS)


def about_visitor(r, visitor):
    """A story whose hero has the visitor's name."""
    girl = visitor in GIRLS
    for _ in range(30):
        made = plot_story(r)
        hero = made.v["A"]
        if hero in (GIRLS if girl else BOYS) and visitor not in made.text:
            return re.sub(rf"\b{hero}\b", visitor, made.text)
    return compose(r, fixed={"A": visitor}).text
