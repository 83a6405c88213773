"""At home: rain, snow, cakes, broken vases, beds and pets. A plot takes a random.Random and returns (variables, text)."""

from corpus.cast import WORDS, cast, intro
from corpus.grammar import say
from corpus.words import BOYS, GIRLS, PETNAMES_F, PETNAMES_M


def bake(r):
    v = cast(r, a="child", b="child")
    v["cake"] = r.choice(["a cake", "an apple pie", "cookies", "pancakes", "bread", "a chocolate cake", "muffins"])
    v["who"] = r.choice(["grandma", "grandpa", "{B}", "mom", "dad", "the teacher"])
    miss = r.sample(["eggs", "flour", "sugar", "milk", "butter", "apples"], 2)
    v["m1"], v["m2"] = miss
    v["about"] = f"a {v['Ak']} who bakes {v['cake']}"
    v["for"] = r.choice(
        [
            "It was {who}'s birthday",
            "{A} wanted to give {who} a surprise",
            "{who} had been sick",
            "{A} wanted to say thank you to {who}",
        ]
    )
    opening = v["for"].replace("{who} had", "{Who} had")
    v["Who"] = v["who"][0].upper() + v["who"][1:] if v["who"] != "{B}" else "{B}"
    return v, say(
        r,
        v,
        intro(r, v),
        opening + '. "I will bake {cake}," said {A}.',
        "/",
        '{A} went to the kitchen. {He} had {m2}, but there [was|were] no {m1}. "Oh no!" {he} said. "I cannot bake without {m1}."'.replace(
            "[was|were]", "were" if miss[0] in ("eggs", "apples") else "was"
        ),
        'So {A} went to the house next door. Knock, knock! [An old woman|A kind man|A kind old man] opened the door. "Do you have'
        ' some {m1}, please?" asked {A}. "Of course," was the answer. "Here you are."',
        "/",
        "{A} [ran|went] back home. {He} put everything in a big bowl. {He} stirred and stirred. [There was flour on {his}"
        " nose|There was some on the floor, too|A little bit landed on the dog]. Then {Parent} helped {him} with the hot oven.",
        'Soon the whole house [smelled sweet|smelled so good]. [{A} waited and waited.|"Is it ready yet?" asked {A} every'
        " minute.] At last, it was ready.",
        "/",
        '{A} gave the [treat|gift] to {who}. "[Did you make this|Is this for me]?" {who} asked. "[It looks wonderful|It smells so'
        ' good|What a lovely surprise]!" They [sat down and ate together|each had a big piece].',
        "{A} also took some to the neighbor, to say thank you. [Everybody|They all] said it was [delicious|the best they had ever"
        " had]. {A} was very proud.",
    )


def rain(r):
    v = cast(r, a="child", b="child")
    v["about"] = f"a {v['Ak']} and a rainy day"
    v["made"], v["game"] = r.choice(
        [
            ("a fort out of blankets and pillows", "They were two brave knights in a castle"),
            ("a boat out of a big box", "They sailed over the sea and saw whales"),
            ("a rocket out of chairs", "They flew to the moon and back"),
            ("a shop with all their toys", "They bought and sold everything, even the cat"),
            ("a cave under the table", "They were two sleepy bears"),
        ]
    )
    return v, say(
        r,
        v,
        intro(r, v),
        '[One day|One morning], it rained [and rained|very hard]. {A} looked out of the window. "[I wanted to play outside|Now I'
        ' cannot go to the {place}]," {he} said [sadly|with a sigh].',
        "/",
        "Then the doorbell rang. It was {his} friend {B}. {bHe} had [a yellow raincoat|a big umbrella|wet hair] and"
        ' [red|green|muddy] boots. "[What shall we do|What can we play] today?" asked {B}.',
        '{A} [thought for a moment|looked around the room]. "I have an idea!" {he} said. They built {made}. {game}. [They laughed'
        " so much that their tummies hurt.|{Parent} brought them warm milk and {yummy}.|They forgot all about the rain.]",
        "/",
        "[After a while|In the afternoon], the rain stopped. {A} and {B} put on their boots and ran outside. There were puddles"
        " everywhere! Splash, splash! [They jumped in every puddle.|{B} jumped in the biggest one.] [Up in the sky there was a"
        ' big rainbow.|"Look, a rainbow!" said {A}.]',
        '"[Rainy days are not so bad|I like rainy days now]," said {A}. "I like them, too," said {B}[ with a laugh|].',
    )


def snow(r):
    v = cast(r, a="child", b="child")
    v["nose"], v["eyes"] = r.choice(["carrot", "pine cone", "small stick", "red pepper"]), r.choice(
        ["two buttons", "two black stones", "two nuts"]
    )
    v["gift"] = r.choice(["scarf", "hat", "pair of mittens"])
    v["about"] = f"a {v['Ak']} who builds a snowman"
    return v, say(
        r,
        v,
        intro(r, v),
        'One winter morning, {A} woke up and [looked out of the window|everything was white]. "Snow!" {he} shouted. {He} put on'
        " {his} [warm|thick] coat and ran outside. {His} friend {B} was already there.",
        "/",
        '"Let us build a snowman!" said {B}. They rolled a big ball of snow, then a smaller one, and then a very small one. [It'
        " was hard work.|Their cheeks were red and their fingers were cold.] They gave the snowman {eyes} for eyes and a {nose}"
        " for a nose.",
        '"He looks cold," said {A}. So {A} took off {his} {color} {gift} and gave it to the snowman. Now the snowman looked'
        " [happy|very fine].",
        "/",
        "They [played in the snow|threw snowballs|went down the hill on a sled] until it was dark. Then {Parent} called them in"
        ' for hot chocolate. {A} looked out of the window. "Good night, snowman," {he} said.',
        r.choice(
            [
                (
                    "In the night, {A} thought {he} saw the snowman wave. Was it a dream? In the morning, the snowman stood there"
                    " as before. But he had a little smile that was not there the day before."
                ),
                (
                    'After a few days, the sun came out and the snowman got smaller and smaller. {A} was sad. "Do not be sad,"'
                    ' said {Parent}. "He is only water now. Next winter he will come back as snow." And {A} kept the {gift} for'
                    " him."
                ),
                (
                    "The next day, an old man came by without a {gift}. He was very cold. {A} looked at the snowman, and the"
                    ' snowman seemed to nod. So {A} gave the {gift} to the old man. "Thank you, dear child," he said. {A} felt'
                    " warm all over."
                ),
            ]
        ),
    )


def messy(r):
    v = cast(r, a="child")
    v["thing"] = r.choice(["favorite book", "left shoe", "{color} {toy}", "homework", "swimming things", "{color} hat"])
    v["about"] = f"a {v['Ak']} with a messy room"
    return v, say(
        r,
        v,
        intro(r, v),
        '{A} did not like to clean up. There were toys on the floor, socks on the lamp, and books under the bed. "Please clean'
        ' your room," said {Parent}. "Later," {A} always said.',
        "/",
        "{day}, {A} wanted to go to the {place} with {his} friend {B}. But {he} could not find {his} {thing}. {He} looked on the"
        " chair. {He} looked under the clothes. {He} only found [an old sandwich|three socks and a spoon|a toy that {he} had lost"
        ' last year]. ["Hurry up, {A}!" called {B}.|{B} waited at the door.]',
        '"I cannot find anything in here!" cried {A}. {B} looked around. "[I am not surprised|No wonder]," {bhe} said [with a'
        ' laugh|]. "[Come, we will do it together|I will help you]. You take the toys, and I will take the books."',
        "/",
        "They made it a game. Who could pick up the most things? One, two, three, go! The toys went into the box. The books went"
        " on the shelf. The socks went into the basket. Soon they could see the floor again. And there, [under the last"
        " sock|behind the pillow|under the last book], was the {thing}!",
        '"Wow," said {A}. "My room is so big!" {Parent} came in and [could not believe it|clapped]. [Then {A} and {B} ran off to'
        ' play.|"Now you can both have {yummy}," {phe} said.] After that, {A} put {his} things away every evening. It only took'
        " five minutes.",
    )


def sick(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} who visits a sick friend"
    return v, say(
        r,
        v,
        intro(r, v),
        '[{day}, {A} wanted to play with {his} friend {B}.|{A} and {B} played together every day.] But {B} did not come. "Where'
        ' is {B}?" asked {A}. "{B} is sick," said {Parent}. "{bHe} has to stay in bed."',
        "/",
        '{A} was sad. "What can I do for {B}?" {he} thought. {He} [made some soup and put it in a basket|picked some flowers and'
        " took {his} favorite book|drew a big picture and took some {yummy}]. Then {he} went to {B}'s home.",
        '{B} was in bed and looked [tired|pale]. "[I have a cold|My head hurts]," said {B}. "And I am so bored." "[I brought you'
        ' something|Look what I have]," said {A}. {B} smiled for the first time that day.',
        "/",
        "{A} sat down next to the bed and told {bhim} a story about [a pirate who was afraid of fish|a cow that wanted to fly|a"
        " king who lost his shoes|a snail who won a race]. {B} laughed so much that {bhe} forgot about {bhis} cold. Then {bhe}"
        " fell asleep.",
        '{A} came back every day. After [three days|a week], {B} was well again. "[Your visits were the best medicine|You made me'
        ' well]," said {B}. [And the next week, when {A} had a cold, guess who came with soup?|Then they ran outside to play.|]',
    )


def sleepy(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} who cannot sleep"
    a = r.sample(
        [
            ("the cat", '"I roll up like a ball," said the cat. {A} rolled up like a ball, but {he} could not sleep'),
            ("the owl", '"I sleep in the day," said the owl. That did not help'),
            ("the horse", '"I sleep standing up," said the horse. {A} stood up, but {he} only fell over'),
            ("the bat", '"I hang upside down," said the bat. {A} tried it, but {his} head got red'),
            (
                "the fish",
                '"I sleep with my eyes open," said the fish. {A} opened {his} eyes wide, but then {he} was only more awake',
            ),
            ("the bear", '"I eat a lot and sleep all winter," said the bear. But {A} was not hungry'),
        ],
        3,
    )
    v["a1"], v["a2"], v["a3"] = (x[0] for x in a)
    return v, say(
        r,
        v,
        intro(r, v),
        "[One night,|It was late, and|It was night, but] {A} could not sleep. {He} turned to the left. {He} turned to the right."
        " {He} counted sheep, but the sheep [only wanted to play|ran away].",
        "/",
        'So {A} went to {a1}. "How do you fall asleep?" {he} asked. '
        + a[0][1]
        + ". Then {A} went to {a2}. "
        + a[1][1]
        + ". Then {he} went to {a3}. "
        + a[2][1]
        + ".",
        "/",
        '{A} went home [again|] with tired feet. {Parent} was waiting at the door. "Where have you been?" {phe} asked. "I wanted'
        ' to find out how to sleep," said {A}. {Parent} smiled and [took {him} in {phis} arms|tucked {him} in]. {pHe} sang a soft'
        " song about the moon and the sea.",
        '{A} wanted to say, "That does not work, either." But {he} did not get that far. {He} was [already|fast] asleep.',
    )


def pet(r):
    v = cast(r, a="child")
    v["pet"], v["need"] = r.choice(
        [
            ("puppy", "a walk in the rain"),
            ("kitten", "its box cleaned"),
            ("rabbit", "fresh hay"),
            ("pony", "a brush and a bucket of water"),
            ("parrot", "somebody to talk to"),
            ("hamster", "a clean cage"),
            ("turtle", "a leaf of salad"),
            ("goat", "a new fence"),
        ]
    )
    v["pn"] = r.choice([x for x in PETNAMES_F + PETNAMES_M if x not in (v["A"], v["B"])])
    v["about"] = r.choice(
        [f"a {v['Ak']} who wants a {v['pet']}", f"a {v['Ak']} and a {v['pet']}", f"a {v['pet']}", f"a {v['pet']} named {v['pn']}"]
    )
    return v, say(
        r,
        v,
        intro(r, v),
        '{A} wanted a {pet}. "Please, please, please!" {he} said every day. "A {pet} is not a toy," said {Parent}. "You have to'
        ' take care of it, even when you are tired." "I will!" said {A}. "I promise."',
        "/",
        "On {his} birthday, there was a box with holes in the lid. Something moved in it. {A} opened the box, and two"
        ' [bright|big|dark] eyes looked at {him}. It was a little {pet}! "I will call you {pn}," said {A}. [They played all'
        " day.|{pn} was soft and warm.|{A} did not want to go to bed that night.]",
        'The first week was easy. But then, [one cold evening|one Sunday morning], {A} was tired. {pn} needed {need}. "[I will do'
        ' it later|Not now]," said {A}, and {he} went back to {his} book. {pn} sat at the door and waited. And waited.',
        "/",
        "After a while, it was very quiet. {A} looked up. {pn} was still sitting there with sad eyes. {A} remembered {his}"
        ' promise. {He} put the book away. "I am sorry, {pn}," {he} said. "[You need me|I forgot that you cannot do it alone]."'
        " {He} put on {his} shoes and did what had to be done.",
        '{Parent} had seen it all. "[That was not easy|I know that you were tired]," {phe} said. "I am proud of you." {pn} [made'
        " a happy sound|put its head on {A}'s foot]. And {A} knew that a friend is worth a little work. [They both slept very"
        " well that night.|]",
    )


def seed(r):
    v = cast(r)
    v["plant"], v["end"] = r.choice(
        [
            ("sunflower", "as tall as the house"),
            ("pumpkin", "as big as a chair"),
            ("apple tree", "full of white flowers"),
            ("bean plant", "all the way up to the window"),
            ("rose", "red and sweet"),
            ("strawberry plant", "full of red berries"),
            ("carrot", "big and orange"),
        ]
    )
    v["about"] = f"a {v['Ak']} who plants a seed"
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} found a [tiny|small|little] seed. "[What will you be|What are you], little seed?" {he} asked.',
        "/",
        "{A} dug a small hole and put the seed in it. {He} gave it water. Then {he} sat down and waited. [Nothing happened.|But"
        ' there was only brown earth.] The next day, {A} looked again. Nothing. ["Please grow!"|"Grow, little seed!"] said {A}.',
        '{His} friend {B} [the {Bk}|] came by. "What are you doing?" {bhe} asked. "I am waiting for my seed," said {A}. "[It'
        ' takes too long|I do not think it works]." {B} [smiled|laughed]. "[Good things take time|A seed needs sun, water, and'
        ' time]," {bhe} said. "[Be patient|You have to wait]."',
        "/",
        "So {A} waited. {He} gave the seed water every [day|morning]. The sun shone and the rain fell. And then, one morning,"
        ' there was a tiny green [leaf|shoot]! "[Look, look|It is growing]!" {A} cried.',
        "Every day it grew a little more. [In the summer|After many weeks], it was a {plant}, {end}. [Everybody came to see"
        " it.|Even the bees came to visit.]",
        "/",
        '"[You were right|Now I see], {B}," said {A}. "[It was worth the wait|Good things really take time]." [And {A} put a new'
        " seed in the ground.|They sat down next to it and watched the clouds.|{A} kept the seeds, so that next year there would"
        " be many more.]",
    )


def baby(r):
    v = cast(r, a="child")
    v["baby"], v["bn"] = r.choice([("brother", r.choice(BOYS)), ("sister", r.choice(GIRLS))])
    if v["bn"] == v["A"]:
        v["bn"] = "Robin"
    v["about"] = f"a {v['Ak']} with a new baby {v['baby']}"
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, Mom and Dad came home with a baby. "This is {bn}, your little {baby}," they said. {A} looked at the baby. It was'
        " [small and pink|red and very loud].",
        "/",
        'The baby cried a lot. It slept a lot. And everybody only looked at the baby. ["Not now, {A}," said Mom. "Later, {A},"'
        ' said Dad.|When {A} wanted to play, nobody had time.] {A} was [sad and a little angry|not happy]. "I do not like that'
        ' baby," {he} said.',
        "[One night|One afternoon], {bn} cried and cried. Mom sang a song, but {bn} cried. Dad walked up and down, but {bn}"
        " cried. Then {A} came in with {his} teddy bear. {He} [made a funny face|danced a silly dance|sang a silly song]. And"
        " {bn} stopped crying. {bn} laughed!",
        "/",
        '"[Did you see that|Look]!" said Mom. "You made {bn} laugh for the very first time!" The baby held {A}\'s finger with a'
        " tiny hand and did not let go. {A} felt something warm inside.",
        '"I think {bn} likes me," said {A}. "Of course," said Dad. "You are the only big {w} {bn} has."'.replace(
            "{w}", WORDS[v["Af"]][2]
        ),
        "/",
        "From then on, {A} helped every day. And in the evening, Mom and Dad took turns, so that there was always a story just"
        " for {A}.",
    )


PLOTS = [bake, rain, snow, messy, sick, sleepy, pet, seed, baby]
