"""Plots that version 3 did not have. A plot takes a random.Random and returns (variables, text)."""

from corpus.cast import cast, intro
from corpus.grammar import say


def lighthouse(r):
    v = cast(r, a="child")
    v["about"] = r.choice(["a lighthouse", f"a {v['Ak']} in a lighthouse", "a light that goes out"])
    return v, say(
        r,
        v,
        "[The old lighthouse stood on a rock in the sea.|On a rock in the sea, there stood an old lighthouse.] {A}, a {adj} {Ak},"
        " lived there with {his} grandpa. Every evening, they climbed the [hundred|many] steps and lit the lamp.",
        "/",
        'One night, Grandpa was sick and had to stay in bed. [Outside, the wind howled.|A big storm came up.] "The lamp!" he'
        ' said. "The ships will not find their way." "I will do it," said {A}. But {he} had never gone up alone.',
        "{A} took the matches and climbed. [It was dark, and the steps creaked.|{He} counted every step.] Halfway up, the wind"
        ' blew out {his} candle. {A} stood still. {His} heart beat fast. [Then {he} thought of the sailors.|"One step, and then'
        ' one more," {he} said to {self}.] And {he} went on.',
        "/",
        "At the top, {his} hands shook so much that the first match broke, and the second one, too. There was only one left. {A}"
        " took a deep breath. Then, at last, the lamp was lit! Its light went far out over the waves.",
        'In the morning, a ship lay in the bay. The captain came to the door. "[We saw your light|Without your light we would'
        ' have been lost]," he said. Grandpa put his hand on {A}\'s head. "[Now there are two keepers in this house|You are a'
        ' real keeper now]," he said.',
    )


def rabbit_hop(r):
    v = cast(r, a=["rabbit", "frog", "kangaroo", "cricket", "lamb"])
    v["can"], v["other"] = r.choice([("hop", "dig"), ("hop", "swim"), ("jump", "climb"), ("hop", "listen")])
    v["about"] = r.choice([f"a {v['Ak']} who cannot {v['can']}", f"a {v['Ak']} who is different"])
    return v, say(
        r,
        v,
        "[There once was|Once there was] a {adj} {Ak} named {A} who could not {can}. All the others could {can}, high and far."
        ' {A} tried every day, but {his} legs would not do it. ["What a funny {Ak}," the others said.|The others left {him}'
        " behind.]",
        "/",
        "{A} sat under a tree and was sad. There {he} began to {other}, just because {he} had nothing else to do. [It went very"
        ' well.|{He} was surprised how easy it was.] "You can {other} better than anyone," said {B}, a {badj} {Bk}. "[What does'
        ' it matter|Who cares] if you cannot {can}?"',
        "/",
        "{day}, a fire broke out in the dry grass. The others ran this way and that. {A} kept calm. {He} knew how to {other}, and"
        ' that was what they needed now. "Follow me!" {he} called. {A} led them all to the river, and they were safe.',
        "/",
        '"We are sorry that we laughed," they said. From then on, nobody asked {A} to {can}. [They asked {him} to show them how'
        " to {other}.|And {A} was happy just as {he} was.]",
    )


def rumor(r):
    v = cast(r, a="animal", b="animal", c="animal")
    v["about"] = r.choice(["a rumor", f"a {v['Ak']} who hears wrong", "animals who tell tales"])
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} heard {B} the {Bk} say, "[Tomorrow I will bake a big cake|Tomorrow I will visit my aunt]." But {A} was [half'
        ' asleep|chewing] and heard only half of it. "{B} will go away for ever!" {he} cried.',
        "/",
        '{A} told it to {C} the {Ck}. {C} told it to the birds, and the birds told everybody. "{B} is leaving because we were not'
        ' nice," they said. ["{B} is moving to the moon," said the last one.|By the evening, some said that a giant had taken'
        " {B}.]",
        'All the animals were sad. They brought {yummy} and flowers and stood in front of {B}\'s door. "Please do not go!" they'
        " called.",
        "/",
        '{B} opened the door and looked at them with big eyes. "Go? Where should I go?" {bhe} asked. Everyone looked at {A}. {A}'
        ' turned red. "[I only heard half of it|I should have asked you]," {he} said.',
        '{B} laughed. "But now that you are all here, let us eat!" It was the best evening of the year. [And {A} learned to'
        " listen to the end.|From then on, {A} always asked before {he} told a thing.]",
    )


def letter(r):
    v = cast(r, a="child")
    v["far"] = r.choice(["the other side of the sea", "a far country", "the big city", "the high mountains"])
    v["about"] = r.choice([f"a {v['Ak']} who writes a letter", "a letter", "a letter in a bottle"])
    return v, say(
        r,
        v,
        intro(r, v),
        '{A} [wished for a friend|had nobody to write to]. So {he} wrote a letter. "Dear friend, I am {A}. [I like {yummy}.|I'
        ' live near the {place}.] Who are you?" {He} put it into a bottle and threw it into the water.',
        "/",
        '{A} waited for a week. {A} waited for a month. [The leaves fell.|The snow came and went.] "Nobody will ever find it,"'
        ' {he} thought. Then, [one morning|one day], the postman rang the bell. "A letter from {far}!" he said.',
        '"Dear {A}," said the letter. "I am {B}. I found your bottle [between two stones|in my net]. I was alone, too. Now I have'
        ' you." {A} read it again and again.',
        "/",
        "They wrote to each other every week. They told each other everything, [the good things and the bad ones|what they ate"
        " and what they dreamed]. And one summer, a {color} boat came to the shore. Somebody stood in it and waved. {A} knew at"
        " once who it was.",
    )


def shadow(r):
    v = cast(r, a="child")
    v["about"] = r.choice(["a shadow", f"a {v['Ak']} and {v['his']} shadow", "a shadow that runs away"])
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} looked down, and {his} shadow was gone! It stood on the wall and [waved|stuck out its tongue]. "I am tired of'
        ' doing what you do," it said. "Today I will do what I like." And off it ran.',
        "/",
        "{A} ran after it. The shadow [slid under a fence|climbed up a tree|jumped over a cart]. [People stared.|A dog barked at"
        ' it.] "Stop!" called {A}. But a shadow makes no sound, and it is very fast.',
        'Then clouds came, and the sun went away. The shadow got paler and paler. "Help!" it whispered. "I am fading!" It had not'
        " known that it needed the light.",
        "/",
        '{A} lit a [lamp|candle] and held it up. There was the shadow, thin and scared. "[Come back|You can stand with me]," said'
        ' {A}. "I will do what you like, too, sometimes." The shadow thought about it. Then it took its place at {his} feet.',
        "Since then, they take turns. [On Mondays, {A} dances because {his} shadow wants to.|If you see {A} jump for no reason,"
        " you know why.]",
    )


def bridge(r):
    v = cast(r, a="animal", b="animal")
    v["about"] = r.choice(["a narrow bridge", f"a {v['Ak']} and a {v['Bk']} on a bridge", "two who are stubborn"])
    return v, say(
        r,
        v,
        "Over a deep river, there was a very narrow bridge. {day}, {A} the {Ak} came from the left, and {B} the {Bk} came from"
        " the right. In the middle, they met.",
        "/",
        '"Go back," said {A}. "I was here first." "You go back," said {B}. "[I am in a hurry|I am bigger]." They stood nose to'
        " nose. [The sun went down.|An hour went by, and then another.] Nobody moved.",
        "They got hungry. {A}'s tummy rumbled. {B}'s tummy rumbled, too. [They looked at each other.|They tried not to laugh.]"
        ' "This is silly," said {A}. "Very silly," said {B}.',
        "/",
        'Then {A} had an idea. {He} lay down flat on the bridge. "Climb over me," {he} said. {B} [stepped|climbed] over, very'
        ' carefully, and was on the other side. "Thank you," said {B}. "Next time I will lie down for you."',
        "[And so they did, every day, for many years.|Since then, nobody fights on that bridge.]",
    )


def clockwork(r):
    v = cast(r)
    v["craft"] = r.choice(["clockmaker", "toymaker", "tinker"])
    v["about"] = r.choice(["an old clock", f"a {v['craft']}", "a clock that stops"])
    return v, say(
        r,
        v,
        "In the middle of a town, there was a big old clock. Everyone looked up at it to know what to do. {A}, a {adj} {Ak},"
        " lived right below it.",
        "/",
        "{day}, the clock stopped. Nobody got up, and nobody went to bed. [The baker burned his bread.|The children did not know"
        ' when school was over.] "Who will climb up there?" people asked. The old {craft} was much too old, so {A} said, "I will'
        ' go."',
        "Up and up {he} went, past wheels as big as tables. In the biggest wheel, there was a nest. A {color} bird sat on it and"
        " looked at {him} with black eyes. [It had put its eggs right between the teeth.|If the wheel turned, the nest would"
        " fall.]",
        "/",
        '{A} thought about it. Then {he} went down again. "The clock will be late this spring," {he} told everyone. [Some were'
        ' angry.|"Late?" they cried. "How late?"] "Until they can fly," said {A}.',
        "So the town had no time for three weeks. [People slept as long as they liked.|Neighbors sat in the sun and talked.] And"
        " when the young birds flew out and the clock began to tick again, some people were almost sad.",
    )


def wall(r):
    v = cast(r, a="child", b="child")
    v["about"] = r.choice(["a high wall", f"a {v['Ak']} and a {v['Bk']} with a wall between them", "two gardens"])
    return v, say(
        r,
        v,
        "Between two gardens, there was a high wall. On one side lived {A}, and on the other side lived {B}. Their families did"
        " not talk to each other, and nobody knew why anymore.",
        "/",
        '{day}, {A} heard somebody sing behind the wall. It was a nice song, so {A} sang along. The singing stopped. "Who are'
        ' you?" asked a voice. "I am {A}. And you?" "I am {B}." They talked until it was dark.',
        "The next day, {A} found a loose stone and pulled it out. Through the hole, {he} could see one [brown|blue|green] eye."
        " They passed things through: {yummy}, a drawing, a {color} marble. [Every day, they took out one stone more.|The hole"
        " got bigger and bigger.]",
        "/",
        "In the end, the hole was so big that {B} climbed right through. Just then {A}'s {parent} came out of the house. [It was"
        ' very quiet.|Nobody said a word.] "{Parent}, this is {B}, my friend," said {A}. "We have no more {yummy2}. May we ask'
        " {B}'s family for some?\"",
        "{Parent} laughed so hard that the neighbors came to look. [That summer, they built a long table out of the stones.|Today"
        " there is no wall anymore, only a bench.]",
    )


PLOTS = [lighthouse, rabbit_hop, rumor, letter, shadow, bridge, clockwork, wall]
