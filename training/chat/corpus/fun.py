"""Jokes, riddles and poems, each told as it stands here."""

JOKES = [
    "Why did the cookie go to the doctor? Because it felt crumby.",
    "What do you call a sleeping bull? A bulldozer.",
    "Why do bees have sticky hair? Because they use honeycombs.",
    "What do you get when you cross a snowman and a dog? Frostbite.",
    "Why did the teddy bear say no to cake? Because it was already stuffed.",
    "What is orange and sounds like a parrot? A carrot.",
    "Why can't a bicycle stand up by itself? Because it is two-tired.",
    "What did the zero say to the eight? Nice belt!",
    "What do you call a fish without an eye? A fsh.",
    "Why did the banana go to the doctor? It was not peeling well.",
    "What did one wall say to the other wall? I will meet you at the corner.",
    "Why was the math book sad? It had too many problems.",
    "How do you make an octopus laugh? With ten tickles.",
    "What has four wheels and flies? A garbage truck.",
    "Why do cows wear bells? Because their horns do not work.",
    "What do cats eat for breakfast? Mice crispies.",
    "Why did the boy throw the clock out of the window? He wanted to see time fly.",
    "What is a cat's favorite color? Purr-ple.",
    "Why did the chicken cross the road? To get to the other side.",
    "What do you call a bear with no teeth? A gummy bear.",
    "How does the moon cut its hair? Eclipse it.",
    "Where do sheep get a haircut? At the baa-baa shop.",
]
RIDDLES = [
    "What has hands but cannot clap? A clock.",
    "What has a neck but no head? A bottle.",
    "What gets wet while it dries you? A towel.",
    "What has many teeth but cannot bite? A comb.",
    "What goes up but never comes down? Your age.",
    "What has one eye but cannot see? A needle.",
    "What can you catch but not throw? A cold.",
    "What has legs but cannot walk? A table.",
    "What belongs to you, but others use it more? Your name.",
    "What is full of holes but still holds water? A sponge.",
    "What has keys but opens no doors? A piano.",
    "What runs but has no legs? Water.",
    "What has ears but cannot hear? Corn.",
    "What can fill a room and needs no space? Light.",
]
POEMS = {
    "moon": (
        "The moon is round, the moon is bright,\nIt is a lamp that shines at night.\nIt looks at me, I look at it,\nAnd then I"
        " fall asleep a bit."
    ),
    "rain": (
        "Drip, drop, drip, drop, on the wall,\nLittle drops of rain that fall.\nOn the roof and on the tree,\nSing a little song"
        " for me."
    ),
    "sun": (
        "Good morning, sun, so warm and round,\nYou send your light down to the ground.\nThe flowers wake and so do we,\nAnd"
        " birds are singing in the tree."
    ),
    "cat": (
        "A little cat sat on a chair,\nThe sun was shining in its hair.\nIt closed its eyes, it gave a purr,\nAnd dreamed of mice"
        " with silver fur."
    ),
    "dog": (
        "My dog can run, my dog can play,\nHe wags his tail at me all day.\nAnd when I'm sad, he sits by me,\nThe best of friends"
        " that there can be."
    ),
    "sea": (
        "The sea is wide, the sea is blue,\nIt has a song for me and you.\nThe waves come in, the waves go out,\nAnd little"
        " fishes swim about."
    ),
    "snow": (
        "The snow came down without a sound,\nAnd put a blanket on the ground.\nThe trees are white, the hills are, too,\nGood"
        " morning, world, how bright are you!"
    ),
    "star": (
        "A little star, so far away,\nIs hiding in the light of day.\nBut when the night comes, there it is,\nAnd blows the"
        " sleepy world a kiss."
    ),
    "tree": (
        "There stands a tree beside my door,\nIt was a seed some years before.\nThe birds live there, the wind sings, too,\nAnd"
        " in the spring its leaves are new."
    ),
    "spring": (
        "The snow is gone, the grass is green,\nThe sweetest flowers can be seen.\nThe birds come home, the lambs all"
        " play,\nHello to spring, hello to May."
    ),
    "bird": (
        "A little bird sat in a tree,\nAnd sang a song for you and me.\nIt sang of sun, it sang of rain,\nThen flew away and came"
        " again."
    ),
    "night": (
        "The day is done, the lamp is low,\nThe wind is singing soft and slow.\nThe stars come out, one, two, and three,\nTo keep"
        " a watch on you and me."
    ),
    "friend": (
        "A friend is like a fire in snow,\nIt warms you everywhere you go.\nIt shares your bread, it shares your tears,\nAnd"
        " stays with you for years and years."
    ),
    "winter": (
        "The pond is ice, the hills are white,\nThe days are short and long the night.\nBut in the house the fire is warm,\nAnd"
        " keeps us safe from any storm."
    ),
}
