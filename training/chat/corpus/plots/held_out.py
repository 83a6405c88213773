"""Plots to judge by: no training text is made from them, and version 3 did not have them either."""

from corpus.cast import cast, intro
from corpus.grammar import say


def well(r):
    v = cast(r, a="child")
    v["about"] = r.choice(["a deep well", f"a {v['Ak']} who shouts into a well"])
    return v, say(
        r,
        v,
        intro(r, v),
        'Behind the house there was a deep well. {A} liked to shout into it. "Hello!" {he} shouted, and the well said, "Hello!"'
        ' {day}, {A} was angry and shouted, "[I do not like you|Go away]!" And the well said the same to {him}.',
        "/",
        '{A} ran to {his} {parent}. "There is somebody in the well who is mean to me!" {Parent} smiled. "[Try something nice|Say'
        ' something kind], and listen what comes back."',
        'So {A} leaned over the edge. "[I am sorry|Let us be friends]," {he} said softly. And softly, the well said it, too. "You'
        ' see," said {Parent}. "[What you send out is what you get back|The world is like that well]."',
    )


def two_bakers(r):
    v = cast(r)
    v["about"] = "two bakers in one street"
    return v, say(
        r,
        v,
        'In one street, there were two bakeries. One belonged to {A}, and the other one to {B}. {A} put up a sign: "The best'
        ' bread in town." So {B} put up a sign: "The best bread in the land."',
        "/",
        'Then {A} wrote, "The best bread in the world." And {B} wrote, "The best bread under the sun." [They painted all day and'
        " forgot to bake.|The signs got bigger than the shops.] One morning, there was no bread at all.",
        'A small {Ck} named {C} came by with one coin. "I only want a roll," {che} said. {A} and {B} looked at each other. They'
        " took down the signs and made a big fire out of them, and over that fire they baked the first roll together. Now there"
        ' is one sign in the street. It says, "Bread."',
    )


def museum_bone(r):
    v = cast(r, a=["dog", "puppy"])
    v["about"] = "a dog who finds a very old bone"
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} dug a hole in the {place} and found a bone. It was the biggest bone in the world. {He} dug and dug, and the"
        " bone did not end. [It was as long as a bus.|There were ribs like a fence.]",
        "/",
        'A professor named {B} came by and dropped {bhis} glasses. "Do you know what that is?" {bhe} cried. "It is a dinosaur!"'
        " {A} only knew that it was {his}. {He} sat down on it and growled.",
        "The professor thought about it. Then {bhe} went away and came back with [ten sausages|a bag full of fresh bones]. It was"
        ' a fair trade. The old bones stand in a big hall now, and under them is a small sign: "Found by {A}."',
    )


def last_leaf(r):
    v = cast(r)
    v["about"] = "the last leaf on a tree"
    return v, say(
        r,
        v,
        'It was late in the autumn. All the leaves had fallen but one. "I will not let go," said the last leaf. {A}, a {adj}'
        ' {Ak}, sat below and listened. "Why not?" {he} asked.',
        "/",
        '"Because I do not know what comes then," said the leaf. [{A} did not know it, either.|{A} thought about it for a while.]'
        ' "I will stay here until you come," {he} said. "Then you will not fall alone."',
        "The wind blew for three days. {A} stayed. And on the fourth day, the leaf let go. It [danced|turned] in the air, {color}"
        ' and light, and it landed in {A}\'s lap. "Oh," it said. "That was flying." In the spring, there was a new leaf in the'
        " same place.",
    )


def mirror_twin(r):
    v = cast(r, a="child")
    v["about"] = f"a {v['Ak']} who talks to a mirror"
    return v, say(
        r,
        v,
        intro(r, v),
        'In the hall hung an old mirror. {day}, {A} yawned in front of it, but the {Ak} in the mirror did not yawn. "You are not'
        ' me," said {A}. "No," said the other. "I am only here to do what you do. May I rest for a day?"',
        "/",
        '"All right," said {A}. So for one day, the mirror was empty. {A} could not see if {his} hair was neat or if there was'
        " jam on {his} chin. [Nobody minded.|It did not matter at all.] {He} played, and {he} forgot to look.",
        'In the evening, the other one was back, fresh and rosy. "Thank you," it said. "Did you miss me?" "A little," said {A},'
        " and both of them laughed at the very same time.",
    )


PLOTS = [well, two_bakers, museum_bone, last_leaf, mirror_twin]
