"""Animals, stars and engines that learn something. A plot takes a random.Random and returns (variables, text)."""

from corpus.cast import cast, intro
from corpus.grammar import say
from corpus.words import BIG, MORALS_FRIEND, SMALL


def bigsmall(r):
    v = cast(r, a=SMALL, b=BIG)
    v["trap"], v["help"] = r.choice(
        [
            ("got a thorn in {bhis} foot", "pulled out the thorn"),
            ("got stuck in a net", "bit through the ropes, one by one"),
            ("had something in {bhis} ear", "went into the ear and pulled out a leaf"),
            ("lost {bhis} way in the fog", "led {bhim} home along a secret path"),
            ("was stuck in the mud", "called all the other animals, and they all pulled together"),
        ]
    )
    if v["Ak"] in ("bee", "butterfly", "ladybug", "ant", "snail") and "bit through" in v["help"]:
        v["trap"], v["help"] = "was stuck in the mud", "called all the other animals, and they all pulled together"
    v["about"] = f"a small {v['Ak']} who helps a big {v['Bk']}"
    return v, say(
        r,
        v,
        "[Once upon a time, there was|There once was|Long ago, there lived] a very small {Ak} named {A}. {A} lived near a very"
        " big {Bk} named {B}.",
        '[{B} was strong and proud.|{B} was the biggest animal around.] ["You are so small," {B} laughed. "What can you do?"|"You'
        ' are too small to be useful," {B} often said.]',
        "/",
        '{A} did not get angry. "[Small friends can be good friends|I may be small, but I can help]," {he} said. {B} only laughed'
        " [louder|] and walked away.",
        '{day}, {B} {trap}. {bHe} did not know what to do. {bHe} [cried for help|called, "Help! Help!"].',
        '[All the other big animals were far away.|Nobody came.] But {A} heard {bhim}. {A} came as fast as {he} could. "[Hold'
        ' still|Do not worry]," {he} said. Then {he} {help}.',
        "/",
        '{B} was [fine|well|safe] again. "Thank you, {A}," {bhe} said [softly|]. "I am sorry that I laughed at you. [You are'
        ' small, but you have a big heart|I was wrong]."',
        '{A} smiled. "That is what friends are for," {he} said. '
        + r.choice(MORALS_FRIEND)
        + " [And {B} never laughed at anyone small again.|]",
    )


def race(r):
    pair = r.choice(
        [
            ("turtle", "rabbit"),
            ("snail", "frog"),
            ("duck", "fox"),
            ("hedgehog", "deer"),
            ("mole", "horse"),
            ("turtle", "fox"),
            ("penguin", "dog"),
        ]
    )
    v = cast(r, a=[pair[0]], b=[pair[1]])
    v["stop"] = r.choice(
        [
            "lay down under a tree to take a nap",
            "stopped to eat some {yummy}",
            "stopped to look at {bself} in the pond",
            "stopped to tell everyone how fast {bhe} was",
        ]
    )
    v["about"] = f"a race between a {pair[0]} and a {pair[1]}"
    return v, say(
        r,
        v,
        '[Once upon a time|Once|Long ago], there was a {Bk} named {B}. {B} could run very fast. "I am the fastest of all!" {bhe}'
        " said every day. [The other animals were tired of it.|Nobody liked to hear it.]",
        "/",
        '{day}, a [slow|small|quiet] {Ak} named {A} said, "[Let us have a race|I will race you]." {B} laughed [and laughed|so'
        ' hard that {bhe} fell over]. "You? You are so slow!" But {A} was not [afraid|joking]. "[From here to the {place}|To the'
        ' old oak tree]," said {A}.',
        "All the animals came to watch. One, two, three, go! {B} ran off like the wind. {A} went step by step[, slow and"
        " steady|].",
        "/",
        'Soon {B} was far ahead. {bHe} looked back and could not see {A}. "I have so much time," {bhe} thought. So {bhe} {stop}.',
        'But {A} did not stop. Step by step, {he} went on. [{He} was tired, but {he} did not rest.|"I can do it," {he} said to'
        " {self}.] {He} went past {B} without a sound.",
        "/",
        "When {B} [looked up|started to run again], {A} was almost [there|at the end]. {B} ran as fast as {bhe} could, but it was"
        " too late. {A} had won! All the animals cheered.",
        '{B} [was ashamed|hung {bhis} head]. "You won because you did not give up," {bhe} said. "[Well done|I will not laugh at'
        ' you again]." {A} smiled. "Slow and steady is fine with me," {he} said.',
    )


def clever(r):
    v = cast(
        r,
        a=["rabbit", "mouse", "hen", "squirrel", "duck", "goat", "lamb"],
        b=["fox", "wolf", "wolf", "crocodile", "tiger", "snake"],
    )
    v["about"] = f"a clever {v['Ak']} and a hungry {v['Bk']}"
    trick = r.choice(
        [
            [
                '"Wait," said {A}. "I am so small. [My big brother will come soon. He is much bigger!|Behind the hill there is a'
                ' big pot of soup. It is much better!]" {B} was greedy. "Then I will wait," {bhe} said. {bHe} closed {bhis} eyes'
                " and dreamed of a big dinner. And quick as the wind, {A} ran away."
            ],
            [
                '"Before you eat me, may I hear you sing?" asked {A}. "Everyone says your voice is so beautiful." {B} was proud.'
                " {bHe} opened {bhis} mouth and sang. It was so loud that the farmer's dogs woke up. They came running, and {B}"
                " ran away as fast as {bhe} could."
            ],
            [
                '"You can eat me," said {A}, "but first let me wash my feet. They are very dirty." {B} did not like dirty food.'
                ' "All right, but be quick," {bhe} said. {A} went to the river, and then {he} ran [across the bridge|over the'
                " stones] and was gone."
            ],
            [
                '{A} pointed to the well. "Look, there is another {Bk} down there," {he} said. "[He says he is stronger than'
                ' you|She says that I am her dinner]." {B} looked into the water and saw {bself}. {bHe} was so angry that {bhe}'
                " jumped right in. Splash! And {A} ran home."
            ],
        ]
    )
    return v, say(
        r,
        v,
        "[Once upon a time|Once|Long ago], there was a {adj} {Ak} named {A}. {He} was small, but {he} was very clever.",
        "{day}, {A} went out to look for {yummy}. {weather} {He} did not see that a hungry {Bk} named {B} was hiding [behind a"
        " tree|in the tall grass|behind a rock].",
        "/",
        '[Suddenly|Then], {B} jumped out. "Now I have you!" {bhe} said. "You will be my [dinner|lunch]." {A}\'s heart beat fast.'
        " But {he} did not cry. {He} thought hard.",
        trick[0],
        "/",
        "{A} did not stop until {he} was [safe at home|home]. {He} told {his} family the whole story. [They laughed until their"
        ' tummies hurt.|"How clever you are!" they said.] And {B}? {bHe} had to go to bed hungry.',
        "[It is good to be strong, but it is better to be clever.|A clever head is worth more than sharp teeth.|From then on, {A}"
        " always looked around first.|]",
    )


def caterpillar(r):
    v = cast(r, a=["caterpillar"], b=SMALL)
    if v["Bk"] == "butterfly":
        v["Bk"] = "snail"
    v["about"] = "a caterpillar who becomes a butterfly"
    return v, say(
        r,
        v,
        "[Once upon a time, there was|There once was] a small green caterpillar named {A}. {A} lived on a big leaf. [All day,"
        " {he} ate and ate.|{He} ate leaves for breakfast, lunch, and dinner.] {His} friend was a {Bk} named {B}.",
        "/",
        '{A} often looked up at the sky. "[I wish I could fly|I want to see the world from above]," {he} said. "You?" said a'
        ' [fly|beetle]. "You are slow and round. You will never fly." {A} was sad. But {B} said, "[Who knows|You never know] what'
        ' will happen. [I believe in you|Do not stop dreaming]."',
        'Then, one day, {A} felt very tired. "I think I have to sleep," {he} said. {He} made a little bed of silk, and it was'
        ' warm and dark in it. {B} waited. {B} waited in the rain and in the wind. ["Good night, {A}," {bhe} said every'
        " evening.|]",
        "/",
        "[After many days|After two long weeks], the little bed began to move. It opened. And out came somebody with two big"
        ' {color} wings! "{A}?" asked {B}. "Is that you?" "[I think so|Yes, it is me]," said {A}. "But I feel so'
        ' [light|different]!"',
        "{A} opened {his} wings and flew. {He} flew over the flowers and over the trees. {He} saw the whole [garden|world]. Then"
        ' {he} came back and sat down next to {B}. "Thank you for waiting," said {A}. "[I will tell you about everything that I'
        ' see|You were the only one who believed in me]."',
    )


def thirsty(r):
    v = cast(r, a=["crow", "sparrow", "monkey", "fox", "squirrel", "raven"])
    v["way"] = r.choice(
        [
            (
                "{He} picked up small stones and dropped them in, one by one. The water came up higher and higher, until {he}"
                " could drink"
            ),
            "{He} found a long, hollow straw of grass. {He} put it in and drank through it",
            "{He} dipped a big leaf into the water and pulled it out. There were drops of water all over it",
        ]
    )
    v["about"] = f"a thirsty {v['Ak']}"
    return v, say(
        r,
        v,
        "[Once, in a hot summer|One hot summer day|Long ago, in a very hot year], a {Ak} named {A} was very thirsty. It had not"
        " rained for [weeks|a long time]. The river was dry, and the pond was only mud.",
        "/",
        "{A} looked everywhere. At last, {he} found [a tall jar|an old jug|a deep pot] behind a house. There was a little water"
        " in it. But it was so deep down that {A} could not reach it. {He} tried to [push it over|turn it over], but it was too"
        " heavy. {He} tried to put {his} head in, but it did not fit.",
        "Another animal would have given up. But {A} sat down and thought. [{He} looked at the ground. {He} looked at the"
        ' trees.|"There must be a way," {he} said.] Then {he} had an idea! {way}.',
        "/",
        "The water was cool and sweet. {A} drank until {he} was not thirsty anymore. Then {he} called {his} friend {B}, who was"
        ' thirsty, too, and showed {bhim} how to do it. "That is so clever!" said {B}. "[When you are in trouble, use your head|I'
        ' did not give up, and I used my head]," said {A}.',
    )


def engine(r):
    v = cast(r)
    v["mach"], v["load"], v["hill"] = r.choice(
        [
            ("train", "toys for the children", "up the steep mountain"),
            ("truck", "apples for the market", "over the high hill"),
            ("boat", "medicine for the island", "through the big waves"),
            ("bus", "children to the zoo", "up the long road"),
            ("tractor", "hay for the hungry cows", "through the deep mud"),
            ("plane", "letters to the village", "over the high mountains"),
        ]
    )
    v["name"] = r.choice(["Tuff", "Little Blue", "Rumble", "Tiny", "Red", "Puff", "Toot", "Bumble", "Benny", "Dottie"])
    v["about"] = f"a small {v['mach']} that does not give up"
    return v, say(
        r,
        v,
        "[Once upon a time, there was|There once was|This is the story of] a small {color} {mach} named {name}. {name} was [old"
        ' and slow|the smallest of all]. The big, shiny ones laughed. "You are too [small|weak] for hard work," they said. So'
        " {name} only did small jobs.",
        "/",
        '{day}, there was a big problem. Somebody had to bring {load} {hill}. "[I am too tired|Not me]," said the first big'
        ' {mach}. "[It is too far|I do not want to get dirty]," said the second. Nobody wanted to go.',
        'Then a small voice said, "I will try." It was {name}. The others laughed. But {name} started. [Chug, chug, chug.|Slowly,'
        ' it began to move.] "I can do it, I can do it," said {name}.'.replace(
            "it began to move", "the wheels began to turn" if v["mach"] not in ("boat", "plane") else "it began to move"
        ),
        "/",
        "The way was hard. [The wind blew.|It began to rain.] {name} got slower and slower. Once, it almost stopped. But {name}"
        ' thought of the ones who were waiting. "I can do it, I can do it." A little more, and a little more, and then it was'
        " done!",
        '"Hooray!" everybody shouted. [The children waved.|They were so happy to see {name}.] And when {name} came back, the big'
        ' ones did not laugh anymore. "You are small," they said, "but you are the bravest of us all."',
    )


def star(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} and a little star that fell from the sky"
    return v, say(
        r,
        v,
        intro(r, v),
        "[One night|One clear night], {A} saw a light fall from the sky. It fell [behind the hill|into the garden|near the old"
        ' tree]. {A} ran there. In the grass lay a tiny star. It was [crying|shaking]. "I fell down," said the star, "and I do'
        ' not know how to get home."',
        "/",
        '"[I will help you|Do not cry]," said {A}. {He} held the star in {his} hands. It was warm. They tried to throw it up'
        " high, but it fell down again. [They asked the wind, but it was not strong enough.|They asked an owl, but it could not"
        " fly so high.]",
        'Then {B}, {his} {badj} friend, came. "[My grandmother says|I once heard] that stars shine when they are happy," said'
        ' {B}. "[Maybe it is too sad to fly|When it is happy, it may be light again]." So they sang songs for the star. They told'
        " it jokes. They danced around it. And the little star began to [giggle|laugh].",
        "/",
        'It got brighter and brighter, and lighter and lighter. Slowly, it went up in the air. "Thank you!" it called. "I will'
        ' never forget you!" Up and up it went, until it was back with its [mother, the moon|brothers and sisters].',
        "Every night after that, {A} and {B} looked up. And one little star always [blinked twice|shone a bit brighter], just for"
        " them.",
    )


def cloud(r):
    v = cast(r)
    v["about"] = "a little cloud that wants to help"
    v["name"] = r.choice(["Puff", "Fluff", "Wisp", "Misty", "Nimbo", "Cotton"])
    return v, say(
        r,
        v,
        "[High up in the sky, there lived a small cloud named {name}.|Once upon a time, there was a little white cloud named"
        ' {name}.] [All the big clouds could make rain, but {name} was too small.|The big clouds always said, "You are too small'
        ' to make rain."]',
        "/",
        '{day}, {name} looked down and saw a {adj} {Ak} named {A}. {A} was sitting in a dry garden. "My flowers are so thirsty,"'
        ' said {A}. "If it does not rain soon, they will die." {name} wanted to help. It asked the big clouds. "We have no time,"'
        ' they said. "We are on our way to the [mountains|sea]."',
        "So {name} tried alone. It [pushed and pushed|held its breath], but not a drop fell. Then {name} had an idea. It flew to"
        " the [sea|lake|river] and drank, and drank, and drank. It got bigger, and grayer, and very heavy. Slowly, it flew back"
        " to the garden.",
        "/",
        '"Now!" said {name}. And then it rained. Drip, drop, drip, drop! {A} jumped up and danced in the rain. The flowers lifted'
        " their heads. [Red, blue, and yellow, they opened one by one.|The whole garden smelled sweet.]",
        '"Thank you, little cloud!" called {A}. {name} was small again now, but it was very proud. And the sun came out and made'
        " [a rainbow|the most beautiful rainbow], just for {name}.",
    )


def king(r):
    v = cast(r, a="child")
    v["ruler"], v["rhe"], v["rhis"], v["rhim"] = r.choice(
        [
            ("king", "he", "his", "him"),
            ("queen", "she", "her", "her"),
            ("princess", "she", "her", "her"),
            ("prince", "he", "his", "him"),
        ]
    )
    v["Rhe"] = v["rhe"].capitalize()
    v["about"] = f"a {v['ruler']} who could not laugh"
    v["fun"] = r.choice(
        [
            "fell over a chicken, and the chicken sat down on {his} head",
            "tried to bow, but {his} shoe flew off and landed in the soup",
            "sneezed so hard that all the candles went out",
            "had the hiccups and could not say a single word",
            "sat on a chair that was not there",
        ]
    )
    return v, say(
        r,
        v,
        "[Once upon a time|Long ago|Once], there was a {ruler} who never laughed. {Rhe} had a [big|golden] castle, a hundred"
        " [horses|hats], and cake for breakfast. But {rhe} was always sad. [Nobody knew why.|]",
        "/",
        '"Whoever makes me laugh will get a bag of gold," said the {ruler}. Many people came. A clown danced on one leg. A man'
        " told a hundred jokes. A woman brought a pig that could sing. But the {ruler} did not laugh.",
        "{day}, a {adj} {Ak} named {A} came to the castle. {A} did not want any gold. {He} only came to bring [eggs|milk|bread]."
        " When {A} came into the big hall, {he} was so nervous that {he} {fun}.",
        "/",
        "It was very quiet. Everyone looked at the {ruler}. First, {rhis} mouth moved a little. Then {rhe} [smiled|giggled]. And"
        " then {rhe} laughed so loud that the windows shook! {A} laughed, too, and soon the whole castle was laughing.",
        '"Here is your gold," said the {ruler}. But {A} said, "[I do not need gold|Thank you, but no]. Would you like to be my'
        ' friend?" The {ruler} looked at {A} for a long time. "Nobody ever asked me that," {rhe} said. "Yes!"',
        "/",
        "So the {ruler} put away {rhis} crown, and they ran [through the garden|down the hill] together. And the {ruler} was"
        " never so sad again, because now {rhe} had a friend.",
    )


PLOTS = [bigsmall, race, clever, caterpillar, thirsty, engine, star, cloud, king]
