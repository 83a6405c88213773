"""Who is in a story: three characters with names, kinds and pronouns, and what else its sentences draw from.

{A} is the first one's name, {Ak} its kind, {he} {him} {his} {He} {His} {self} its pronouns; those of {B} and {C} begin with b
and c: {bhe}, {chis}.
"""

from corpus.words import (
    ADJ, ANIMALS, BOYS, COLORS, FAMILY, FOODS, GIRLS, HAPPYEND, HOMES, LIKES, PETNAMES_F, PETNAMES_M, PLACES, TOYS, WEATHER,
    WILDHOMES, YUMMY,
)

PRON = {True: ("she", "her", "her", "She", "Her", "hers", "herself"), False: ("he", "him", "his", "He", "His", "his", "himself")}
WORDS = {True: ("girl", "daughter", "sister"), False: ("boy", "son", "brother")}


def person(v, key, name, kind, female):
    p = PRON[female]
    pre = {"A": "", "B": "b", "C": "c"}[key]
    v[key], v[key + "k"] = name, kind
    v[pre + "he"], v[pre + "him"], v[pre + "his"], v[pre + "He"], v[pre + "His"], _, v[pre + "self"] = p


def cast(r, a="any", b="any", c="any"):
    """a, b, c: 'child', 'animal', 'any', or a list of kinds."""
    v = {}
    used, kinds = set(), set()
    if a == "any":
        a = "child" if r.random() < 0.55 else "animal"
    for key, what in (("A", a), ("B", b), ("C", c)):
        f = r.random() < 0.5
        if what == "any":
            what = "child" if a == "child" and r.random() < 0.7 else "animal" if a != "child" else "child"
        while True:
            if what == "child":
                name, kind = r.choice(GIRLS if f else BOYS), WORDS[f][0]
            else:
                kind = r.choice(ANIMALS if what == "animal" else what)
                pool = (PETNAMES_F if f else PETNAMES_M) if r.random() < 0.6 else (GIRLS if f else BOYS)
                name = r.choice(pool)
            if name not in used and (what == "child" or kind not in kinds or (what not in ("child", "animal") and len(what) < 3)):
                break
        used.add(name)
        kinds.add(kind)
        person(v, key, name, kind, f)
        v[key + "f"] = f
    v["wild"] = a != "child"
    v["child"] = WORDS[v["Af"]][1]
    v["place"] = r.choice(PLACES)
    v["adj"], v["adj2"], v["badj"] = r.sample(ADJ, 3)
    v["color"], v["color2"] = r.sample(COLORS, 2)
    v["food"], v["toy"] = r.choice(FOODS), r.choice(TOYS)
    v["yummy"], v["yummy2"] = r.sample(YUMMY, 2)
    v["home"] = r.choice(WILDHOMES if v["wild"] else HOMES)
    v["weather"] = r.choice(WEATHER)
    v["parent"] = r.choice(FAMILY[:2]) if r.random() < 0.7 else r.choice(FAMILY)
    v["Parent"] = v["parent"].capitalize()
    pf = v["parent"] in ("mom", "grandma")
    v["phe"], v["pHe"], v["phis"], v["phim"] = ("she", "She", "her", "her") if pf else ("he", "He", "his", "him")
    v["like"] = r.choice(LIKES)
    v["day"] = r.choice(
        [
            "One day",
            "One day",
            "One morning",
            "One sunny day",
            "One afternoon",
            "One [warm|cold|windy|bright] [day|morning]",
            "One Saturday",
            "One [spring|summer|autumn] day",
        ]
    )
    v["happyend"] = r.choice(HAPPYEND)
    return v


def intro(r, v):
    return r.choice(
        [
            "Once upon a time, there was a {adj} {Ak} named {A}. {A} [lived in {home}.|loved {like}.]",
            "Once upon a time, there was a {adj} {Ak} named {A}. {He} lived in {home}. {A} [liked|loved] {like}.",
            "{A} was a {adj} {Ak}. {He} lived in {home}.",
            "{A} was a {adj} {Ak} who loved {like}.",
            "Once there was a {Ak} [named|called] {A}. {He} was very {adj2}. {He} lived in {home}.",
            "There once was a {adj} {Ak} [named|called] {A}. Every day, {he} liked {like}.",
            "In {home}, there lived a {adj} {Ak}. {His} name was {A}.",
            "A {adj} {Ak} named {A} lived in {home}.",
            "Long ago, in {home}, there lived a {adj} {Ak} named {A}.",
            "This is the story of {A}, a {adj} {Ak} who lived in {home}.",
        ]
    )
