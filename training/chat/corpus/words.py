"""Word lists that the texts draw from: names, animals, things, places, weather. What is held back: held_out.py."""

GIRLS = """
Mia Lily Anna Emma Sara Lucy Zoe Ella Nora Rosie Ivy Ruby Maya Lina Amy Kate Clara Daisy Tina Molly Sophie Grace Ada
Hana Leila Nina Poppy June Alice Kira Mona Eva Lola Isla Freya Amara Yara Penny Holly Jane
""".split()
BOYS = """
Tom Ben Sam Max Leo Tim Jack Finn Noah Oscar Eli Omar Hugo Luke Adam Theo Milo Felix Nico Paul Kofi Ravi Ali Toby
Henry Charlie Alex Owen Peter Billy Danny Joe Kai Arlo Otis Mateo Jonas Ned Freddie Louis
""".split()
PETNAMES_F = """
Bella Coco Dot Honey Luna Pip Tilly Willow Hazel Fern Mimi Lulu Olive Pearl Clover Maple Rosa Snow Pippa Minnie Birdie
Nutmeg Misty Peaches Skye
""".split()
PETNAMES_M = """
Bruno Bob Rusty Gus Teddy Pepper Barney Rocky Spot Buddy Rex Chip Ollie Monty Biscuit Jasper Murphy Duke Bertie Ziggy
Waldo Tuck Benji Sunny Pudding
""".split()
ANIMALS = """
rabbit fox bear mouse squirrel hedgehog duck cat dog kitten puppy owl turtle frog pig lamb goat deer badger beaver
otter raccoon mole hamster penguin monkey elephant lion tiger panda koala kangaroo hippo giraffe zebra donkey pony hen
goose sparrow
""".split()
SMALL = "mouse ant bee snail sparrow ladybug frog chick hamster butterfly squirrel".split()
BIG = "elephant bear lion tiger horse bull giraffe hippo moose buffalo".split()
ADJ = """
little small happy kind brave curious quiet clever cheerful gentle playful shy friendly funny young sweet
""".split()
COLORS = "red blue green yellow orange purple pink white brown silver golden".split()
LOSABLE = [
    "ball", "teddy bear", "doll", "toy car", "hat", "scarf", "mitten", "key", "book", "whistle", "button", "ribbon", "shoe",
    "ring", "pencil", "toy boat", "stuffed rabbit", "umbrella", "watch", "spoon", "bell", "backpack",
]
FOODS = [
    "apple", "pear", "sandwich", "cookie", "muffin", "banana", "pancake", "carrot", "piece of cake", "bowl of soup",
    "slice of bread", "peach", "bun", "plum", "cupcake",
]
YUMMY = [
    "apples", "cookies", "berries", "nuts", "carrots", "pancakes", "cherries", "muffins", "pears", "plums", "strawberries",
    "buns",
]
PLACES = [
    "park", "garden", "forest", "beach", "lake", "hill", "meadow", "river", "field", "playground", "pond", "farm",
]
HOMES = [
    "a small house near the [forest|sea|river]", "a [little|tiny|cozy] [house|cottage] on a hill", "a quiet village",
    "a big city", "a small town by the sea", "a house with a [red|green|blue] door", "an old house at the end of the street",
    "a small farmhouse", "a small house by the lake",
]
WILDHOMES = [
    "a hole under a big tree", "a deep green forest", "a sunny meadow", "a cozy [den|nest|home] in the woods",
    "a forest full of tall trees", "a little home by the pond", "the tall grass near the river",
    "a warm [den|home] at the foot of a hill",
]
WEATHER = [
    "The sun was [bright|warm|shining].", "The sky was blue [and the sun was warm|].",
    "It was a [warm|sunny|lovely|beautiful] day.", "The birds were singing.", "A soft wind was blowing.",
    "There was not a cloud in the sky.", "", "", "",
]
FAMILY = [
    "mom", "dad", "grandma", "grandpa",
]
LIKES = [
    "to play [outside|in the {place}|with {his} toys]", "to [sing|dance|draw|paint|read books|climb trees|run|jump]",
    "to look at the [stars|clouds|flowers|birds]", "to collect [stones|leaves|shells|feathers|buttons]",
    "to tell [jokes|stories]", "to help [others|{his} friends]", "to eat {yummy}", "to splash in puddles", "to ask questions",
]
MORALS_FRIEND = [
    "[From that day on|After that], they were [best friends|good friends|the best of friends].",
    "And they stayed friends [forever|for a very long time].", "Now they play together every day.",
]
HAPPYEND = [
    "[They all|Everyone] [smiled|laughed|cheered|was happy].", "It was [a wonderful|a very good|the best] day.",
    "{A} was very happy.", "{A} [smiled|fell asleep with a smile|went to bed happy] that night.",
    "And they all lived happily [ever after|].",
]
TOYS = [
    "ball", "teddy bear", "doll", "toy car", "toy train", "kite", "drum", "toy boat", "spinning top", "puzzle", "yo-yo",
    "toy robot", "stuffed rabbit", "toy plane", "wooden horse", "music box", "jump rope", "balloon",
]

# What a visitor may ask a story to be about, besides the animals above. Wide on purpose: the model has to learn to take
# the word it is given, and it learns that only from many.
PEOPLE = """
baker sailor teacher doctor gardener clown farmer painter king queen prince princess knight pirate wizard witch fairy mermaid
giant astronaut detective robot dragon unicorn ghost monster elf troll dwarf genie alien scarecrow snowman superhero cowboy
carpenter shepherd hunter fisherman tailor cook captain pilot nurse firefighter singer dancer drummer juggler magician postman
shoemaker miller blacksmith explorer inventor scientist student grandmother grandfather uncle aunt twin baby neighbor
""".split()
MORE_ANIMALS = """
whale dolphin shark octopus crab seal starfish snake lizard crocodile dinosaur parrot eagle crow swan peacock chicken rooster
turkey bat bee ant spider butterfly ladybug snail worm cricket wolf moose buffalo rhino gorilla cheetah leopard llama ox sheep
cow horse bull rat gecko toad pigeon seagull stork woodpecker swallow hawk jellyfish squid salmon trout goldfish caterpillar
""".split()
OBJECTS = """
umbrella clock key lamp mirror book letter map kite drum violin guitar flute bell whistle candle lantern basket bucket bottle
box chest bag backpack pillow blanket hat scarf coat glove sock shoe boot button ring necklace crown coin stone shell feather
leaf flower seed egg apple pear orange lemon melon cake pie cookie sandwich pancake cheese carrot pumpkin potato onion mushroom
spoon fork knife pot pan cup plate bowl teapot broom brush comb soap towel rope net fishing_rod boat ship raft bike scooter
sled wagon train bus car truck balloon ball doll puzzle yo-yo teddy_bear toy_robot rocket telephone radio camera computer chair
table bed door window bridge tower tent statue pencil pen notebook poster painting photo flag wand sword shield 
cape mask costume wheel hammer saw nail shovel spade watering_can nest beehive snow_globe music_box magnet compass anchor
treasure medal trophy ticket postcard newspaper dictionary secret song joke riddle recipe dream wish promise star cloud rainbow
snowflake icicle pebble log stick branch root cactus rose sunflower tulip daisy clover acorn chestnut walnut peanut pretzel bagel
muffin pizza milkshake lollipop ice_cream_cone bathtub sponge toothbrush pajama_top slipper belt
zipper needle thread quilt carpet curtain cushion sofa ladle pepper_mill wheelbarrow lawn_mower scarecrow_hat tractor helicopter
airplane submarine spaceship skateboard roller_skate swing slide seesaw sandcastle trampoline tambourine trombone cello harp banjo
""".split()
OBJECTS = [word.replace("_", " ") for word in OBJECTS]
# (preposition, place)
SITES = [tuple(site.strip().split(" ", 1)) for site in """
in the desert; in the jungle; on the moon; on a small island; under the sea; in a big city; in a quiet village; on a high mountain;
in a deep cave; at the zoo; at school; in the kitchen; in the library; on a farm; in a castle; at the beach; in the snow; in space;
in the garden; in the attic; in a treehouse; by the river; in the swamp; at the circus; in the museum; at the market; on a ship;
on a train; in a hospital; in the park; at the airport; on the playground; in a haunted house; in the clouds; in a toy shop;
in the bakery; under the bed; in the forest; at the North Pole; in Africa; in a hot air balloon; on Mars; behind the waterfall;
in a lighthouse; in an old mill; on the roof; in the cellar; at the lake; in a pumpkin field; on a bridge; in a tower
""".split(";")]
TRAITS = """
little small big tiny huge old young brave shy lazy clever silly sad happy lonely hungry sleepy angry grumpy kind rich poor greedy
proud polite curious clumsy quiet noisy forgetful friendly funny gentle nervous stubborn cheerful lost magical invisible famous
""".split()
OBJECT_TRAITS = """
red blue green yellow golden silver broken old new tiny huge magic lost shiny rusty wooden strange secret singing flying talking
dusty heavy purple pink striped soft wonderful forgotten empty
""".split()
ONSETS, VOWELS, CODAS = "b br d dr f fl g gr h j k kr l m n p pl r s sh sk t tr v w z".split(), "a e i o u ai ee oo".split(), "n l r m x ck sh t th ".split(" ")


def made_up(r, capital=True):
    """A word that nobody has heard of: it can only be copied, not known."""
    word = "".join(r.choice(ONSETS) + r.choice(VOWELS) for _ in range(r.choice([1, 2, 2]))) + r.choice(CODAS)
    return word.capitalize() if capital else word


def name(r, female):
    """A first name, one in five of them made up."""
    return made_up(r) if r.random() < 0.2 else r.choice(GIRLS if female else BOYS)
