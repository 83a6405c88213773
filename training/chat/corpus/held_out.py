"""What no training text may hold: it is kept to judge by. check.py holds every generator to this list.

Plots to judge by are plots/held_out.py; chains and scenes of sums are marked in sum_scenes.py.
"""

# Elements of stories that are asked for.
PEOPLE = ["plumber", "goblin", "librarian", "vampire", "ballerina", "dentist", "beekeeper", "mailman", "beggar", "acrobat"]
ANIMALS = ["walrus", "flamingo", "lobster", "porcupine", "meerkat", "ostrich", "hyena", "weasel", "pelican", "chameleon"]
OBJECTS = ["accordion", "telescope", "suitcase", "typewriter", "pineapple", "trumpet", "wallet", "stapler", "xylophone", "chessboard",
           "calculator", "hammock", "saxophone", "binoculars case", "kettle", "parachute"]
SITES = [("in", "the subway"), ("in", "the theater"), ("on", "a glacier"), ("at", "the harbor"), ("in", "a greenhouse"), ("on", "a ferry")]
NAMES = {True: ["Petra", "Wanda", "Ingrid", "Dolores", "Hedwig", "Juno"], False: ["Boris", "Igor", "Casper", "Wendell", "Rufus", "Quentin"]}

# How a story is asked for.
ASKS = ["I'd love a tale with {x} in it.", "Could you invent something about {x}?", "Make me a story. It should have {x}.", "Today I want to read about {x}."]

# System prompts.
PERSONAS = ["wizard", "astronaut", "detective"]
PHRASES = ["Over and out.", "So it is written.", "Peace and plums.", "That was it."]
RULES = [("end", "visitor"), ("begin", "upper"), ("lower", "visitor")]  # pairs of rules that never come together in training

# Questions that nobody can answer from here.
UNKNOWN = ["What did I eat for breakfast?", "How many people live on my street?", "What is my phone number?", "Who is standing behind me?",
           "What will the lottery numbers be?", "Is my brother at home?", "Which song is on the radio now?", "How many coins are in my pocket?",
           "What did my boss say yesterday?", "When does the next bus to the harbor leave?", "Who won the chess match last night?",
           "What is the password of this computer?", "How much does the red bike in the shop cost?", "What is my neighbor's last name?"]
