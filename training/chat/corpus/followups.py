"""Conversations whose later turns only make sense after the earlier ones: about a story just told, a sum just done, a joke,
and about what the visitor said of himself."""

from corpus import facts, fun, lantern, stories, sums
from corpus.compose import compose
from corpus.grammar import article, capital, say
from corpus.small_talk import OFFER, SORRY, small_talk, variables
from corpus.unknown import unknown
from corpus.words import GIRLS, name

SHORTER = (
    "[Make it shorter.|Shorter, please.|Can you make it shorter?|Tell it in a few words.|That was too long. Make it"
    " short.|Summarize it.|Give me the short version.]"
)
AND_THEN = "[And then?|What happened then?|What happened next?|Go on.|Tell me more.|And after that?|Then what?]"
AGAIN = "[Another one, please.|Another story!|One more!|Tell me another one.|More stories, please.|Again!]"
THANKS = "[Thank you!|That was nice.|I like that story.|Nice story!|That was a good story.|Thanks, I liked it.]"
LIKED = (
    "[I am glad that you liked it!|Thank you! I like it, too.|You are welcome!] [Would you like another one?|Shall I tell you"
    " another one?|]"
)
# What comes after the end of a story.
NEXT = [
    (
        "The next [day|morning], {A} [told everyone about it|slept until noon|went back to the same place]. [{Parent} could"
        " hardly believe it.|And that is another story.|Everything was as it should be.]"
    ),
    (
        "After that, {A} [had a long rest|made a big pot of soup|wrote it all down in a book]. [And the years went by.|From time"
        " to time, {he} still thought of it.]"
    ),
    (
        "Then {A} went home and [told it to {his} {parent}|fell asleep at once|ate {yummy}]. [It had been a long day.|{He}"
        " dreamed of it all night.]"
    ),
    (
        "A week later, {A} [set out again|met a new friend|found something strange]. But that is [another story|a story for"
        " another day]."
    ),
    (
        "{A} lived a good life from then on. [Sometimes, in the evening, {he} told the story to the little ones.|Nothing like it"
        " ever happened again.]"
    ),
]


def after_story(r):
    """A story, and one to three turns about it."""
    request, made, _ = stories.told(r)
    turns = [request, r.choice(stories.LEADS) + made.text]
    for _ in range(r.choice([1, 1, 2, 3])):
        x = r.random()
        if x < 0.6 and made.questions:
            turns += made.ask(r)
        elif x < 0.75:
            turns += [say(r, {}, SHORTER), made.shorter(r)]
        elif x < 0.87:
            turns += [say(r, {}, AND_THEN), say(r, made.v, r.choice(NEXT))]
        elif x < 0.93:
            turns += [say(r, {}, THANKS), say(r, {}, LIKED)]
        elif made.plot == "composed":
            return turns + changed(r, made)
        else:
            return turns + [say(r, {}, AGAIN), r.choice(stories.LEADS) + stories.story(r).text]
    return turns


def changed(r, made):
    """The story once more, with one thing changed. -> [request, story]."""
    other = compose(r).v
    what = r.choice(["kind", "name", "thing", "place"])
    keep = {
        key: made.v[key]
        for key in ("A", "Ak", "he", "him", "his", "He", "His", "self", "thing", "obj", "where", "place", "at", "At", "t")
    }
    if what == "kind":
        keep["Ak"], asked = (
            other["Ak"],
            f"[Now with {article(other['Ak'])}.|The same with {article(other['Ak'])}, please.|Make it {article(other['Ak'])}.]",
        )
    elif what == "name":
        keep |= {key: other[key] for key in ("A", "he", "him", "his", "He", "His", "self")}
        asked = f"[Call {{him}} {other['A']}.|Now with the name {other['A']}.|I want the name {other['A']}.]"
    elif what == "thing":
        keep |= {"thing": other["thing"], "obj": other["thing"]}
        asked = (
            f"[Now with {article(other['thing'])}.|With {article(other['thing'])}, please.|Take {article(other['thing'])}"
            " instead.]"
        )
    else:
        keep |= {key: other[key] for key in ("where", "place", "at", "At")}
        asked = f"[Now let it be {other['at']}.|And {other['at']}?|The same, but {other['at']}.]"
    return [say(r, made.v, asked), r.choice(stories.LEADS) + compose(r, fixed=keep).text]


def after_sum(r):
    """A word problem, and one to three questions that go on from its result."""
    problem = sums.problem(r)
    turns = [problem.question, problem.answer]
    for _ in range(r.choice([1, 1, 2, 3])):
        problem = sums.goes_on(r, problem)
        turns += [problem.question, problem.answer]
    return turns


def between(r):
    """Nothing, or a turn or two about something else."""
    turns = []
    for _ in range(r.choice([0, 0, 1, 1, 2, 3])):
        turns += r.choice([small_talk, facts.question, facts.thing, lantern.about_lantern, unknown])(r)
    return turns


HELLO = (
    "[Hello, {n}!|Hi, {n}!|Nice to meet you, {n}!] [It is nice to meet you.|How are you today?|What would you like to talk"
    " about?|]"
)
# (what the visitor says of himself, the answer, the question later, its answer)
SAID = [
    (
        "[Hi! |Hello, |Hey! |][My name is {n}|I am {n}|I'm {n}|my name is {n}|Call me {n}][.|!|]",
        HELLO,
        "[What is my name|What's my name|Do you know my name|Who am I|Do you remember my name|How am I called]?",
        "[Your name is {n}.|You are {n}.|You told me that your name is {n}.]",
    ),
    (
        "[My favorite color is {color}|I love the color {color}].",
        "[{Color} is a beautiful color.|What a nice color!]",
        "[What is my favorite color|Which color do I like|Do you remember my favorite color]?",
        "[Your favorite color is {color}.|You like {color}.]",
    ),
    (
        "[I have a {pet} named {m}|My {pet} is called {m}].",
        "[{m} is a lovely name for a {pet}.|What a nice name!] [What does {m} like to do?|]",
        "[What is my {pet}'s name|What is my {pet} called|Who is my {pet}]?",
        "[Your {pet} is called {m}.|Your {pet}'s name is {m}.]",
    ),
    (
        "[I have a {pet} named {m}|My {pet} is called {m}].",
        "[{m} is a lovely name for a {pet}.|What a nice name!] [What does {m} like to do?|]",
        "[Who is {m}|What is {m}]?",
        "{m} is your {pet}.",
    ),
    (
        "I like {yummy}.",
        "[{Yummy} are very tasty!|Mmm, {yummy}!]",
        "[What do I like|What do I like to eat]?",
        "[You like {yummy}.|You told me that you like {yummy}.]",
    ),
    (
        "I like {hobby}.",
        "[That is a fine hobby!|That sounds like fun.]",
        "[What is my hobby|What do I like to do]?",
        "[Your hobby is {hobby}.|You like {hobby}.]",
    ),
    (
        "I am {age} years old.",
        "[That is a good age!|{age} is a good age.]",
        "[How old am I|What is my age]?",
        "[You are {age} years old.|You told me that you are {age}.]",
    ),
    (
        "My {sib} is called {m}.",
        "[{m} is a nice name.|Say hello to {m} for me.]",
        "[What is my {sib}'s name|What is my {sib} called]?",
        "[Your {sib} is called {m}.|Your {sib}'s name is {m}.]",
    ),
    (
        "I live in {town2}.",
        "[I hope that it is nice in {town2}.|Tell me about {town2}!]",
        "[Where do I live|Where am I from]?",
        "You live in {town2}.",
    ),
    (
        "I [lost|am looking for] my {loss}.",
        "Oh no! [Where did you see it last?|Look under the bed.]",
        "[What did I lose|What am I looking for]?",
        "[Your {loss}.|You are looking for your {loss}.]",
    ),
]
NOT_SAID = "[I do not know. You have not told me.|You have not told me that yet.|I do not know that. Will you tell me?]"


def said_variables(r):
    v = variables(r)
    v["n"], v["m"] = name(r, r.random() < 0.5), name(r, v["sib"] == "sister")
    v["age"], v["town2"] = str(r.randint(4, 80)), r.choice(
        ["Paris", "Rome", "London", "a small village", "Berlin", "Tokyo", "a big city", "Spain", "India"]
    )
    return v


def memory(r):
    """Something that the visitor said, and a question about it later; or about something that he did not say."""
    v = said_variables(r)
    x = r.random()
    said = r.sample(SAID, r.choice([1, 1, 2]))
    turns = []
    for statement, answer, *_ in said:
        turns += [say(r, v, statement), say(r, v, answer)]
    if said[0] is SAID[0] and x < 0.15:
        visitor = v["n"]
        asked = "[Tell me a story about me|Tell me a story with my name|Can you tell me a story about me][.|?]"
        return turns + [say(r, v, asked), stories.about_visitor(r, visitor)]
    if said[0] is SAID[0] and x < 0.25:
        v["n"] = name(r, v["n"] in GIRLS)
        turns += [
            say(r, v, "[No, my name is {n}.|Sorry, I meant {n}.|I am {n}, not that.]"),
            say(r, v, "[Hello, {n}!|Sorry, {n}!|All right, {n}.]"),
        ]
    turns += between(r)
    if x > 0.9:
        unsaid = r.choice([s for s in SAID if s not in said and s[:2] != said[0][:2]])
        return turns + [say(r, v, unsaid[2]), say(r, v, NOT_SAID)]
    for _, _, question, answer in said if r.random() < 0.5 else said[:1]:
        turns += [say(r, v, question), say(r, v, answer)]
    return turns


def small_exchange(r):
    """Two turns that belong together."""
    x = r.randrange(5)
    if x == 0:
        asked = say(r, {}, "[I am bored|I don't know what to do|I have nothing to do].")
        return [
            asked,
            "Shall I tell you a story?",
            r.choice(["Yes, please.", "Yes", "OK", "Sure!", "yes please", "Oh yes!"]),
            stories.story(r).text,
        ]
    if x == 1:
        return [
            "Tell me a joke.",
            r.choice(fun.JOKES),
            r.choice(["Another one!", "One more, please.", "Haha! Another one?", "more"]),
            r.choice(fun.JOKES),
        ]
    if x == 2:
        question, answer = r.choice(fun.RIDDLES).split("? ", 1)
        asked = say(r, {}, "[Tell me a riddle|Do you know a riddle|Ask me a riddle][.|?|]")
        return [
            asked,
            question + "?",
            r.choice(["I don't know.", "No idea.", "Tell me.", "What is it?", "I give up."]),
            say(r, {}, "[It is|The answer is] ") + " " + answer[0].lower() + answer[1:],
        ]
    opening = [say(r, {}, "[How are you|How are you today|Hi, how are you]?"), "I am fine, thank you! And you?"]
    if x == 3:
        return opening + [
            say(r, {}, "[I am fine|Good|I am good|Very well|I'm fine, thanks|Great][.|!|]"),
            say(
                r,
                {},
                "[I am glad to hear that.|That is good to hear.] "
                + OFFER.replace("How are you today?", "What shall we talk about?"),
            ),
        ]
    return opening + [
        say(r, {}, "[Not so good|Not good|Bad|I am sad|I am tired|So so][.|]"),
        say(r, {}, SORRY + " [Do you want to tell me about it?|What happened?|I am here to listen.]"),
    ]


OF_THING = [
    ("[What is it again?|What did you say it is?|Say that again.]", 0),
    ("[Tell me more.|What else?|More about it, please.]", 1),
]


def after_fact(r):
    """What something is, and a question that says only "it" or "they"."""
    noun, lines = r.choice([t for t in facts.THING_LIST if len(t[1]) > 1])
    turns = [say(r, {}, f"[What is {facts.named(noun)}?|Tell me about {facts.plural(noun)}.]"), facts.defined(noun, lines[:1])]
    for question, at in r.sample(OF_THING, 2):
        turns += [say(r, {}, question), " ".join(lines[1:]) if at else capital(facts.named(noun)) + " is " + lines[0]]
    return turns


def follow_up(r):
    """-> [user, assistant, user, assistant, …]."""
    kind = r.choices([after_story, after_sum, memory, small_exchange, after_fact], [0.42, 0.18, 0.24, 0.08, 0.08])[0]
    return kind(r)
