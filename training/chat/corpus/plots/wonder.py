"""Dragons, robots, wishes, secret doors and long trips. A plot takes a random.Random and returns (variables, text)."""

from corpus.cast import cast, intro
from corpus.grammar import say


def moon(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} who wants to catch the moon"
    return v, say(
        r,
        v,
        intro(r, v),
        'Every night, {A} looked at the moon. It was so [round|big|bright]. "I want to [have|catch|hold] the moon," {he} said.',
        "/",
        "[One night|That night], {A} climbed [a tall tree|up the highest hill]. {He} reached up {his} hand, but the moon was [too"
        " far away|much too high]. {He} [jumped|got a ladder], but it was still too high.",
        'Then {A} saw the moon in the [pond|lake]. "There it is!" {he} cried. "It fell into the water!" {He} took a [bucket|net]'
        " and tried to catch it. But each time, the moon broke into many little [pieces|lights]. Then it was whole again.",
        "/",
        '{A} was sad. {B}, [a wise old {Bk}|{his} old friend], saw {him}. "[You cannot put the moon in a bucket|The moon does not'
        ' belong to one of us], {A}," said {B}. "[It shines for everyone|It is there for all of us]. [Sit down next to me and'
        ' look|Look how it lights up the path]."'.replace(
            "a wise old {Bk}", "a wise old {Bk}" if v["Bk"] not in ("girl", "boy") else "{his} good friend"
        ),
        "They sat side by side. The moon made everything silver: the trees, the grass, and the water. [It was very quiet.|A frog"
        ' sang a song.] "[It is beautiful|I see]," said {A}. "[I do not need to have it|It is better up there]."',
        "/",
        "And from then on, {A} said good night to the moon every night. And {he} was sure that the moon said good night, too.",
    )


def magic(r):
    v = cast(r, a="child")
    obj, power = r.choice(
        [
            ("pencil", "everything that you draw becomes real"),
            ("paint brush", "everything that you paint comes to life"),
            ("stone", "it gives you three wishes"),
            ("ring", "you can talk to animals"),
            ("hat", "nobody can see you"),
            ("bell", "it gives you three wishes"),
            ("pot", "it fills itself with soup when you say please"),
            ("pair of shoes", "you can jump over a house"),
        ]
    )
    v["obj"] = obj
    v["power"] = power
    mid = {
        "pencil": [
            (
                "{A} drew a cake, and there it was! {He} drew a [kite|ball], a [pony|puppy], and a [castle|tower]. {He} drew more"
                " and more. Soon the house was so full that {A} could not move."
            ),
            "{A} drew a big door, and all the things went out to other children who had none.",
        ],
        "paint brush": [
            (
                "{A} painted a bird, and it flew away with a song. {He} painted a [cat|dog], and it licked {his} hand. Then {he}"
                ' painted a lion. "Roar!" said the lion. That was not a good idea!'
            ),
            "Quickly, {A} painted a big cage with an open gate to the jungle, and the lion walked home.",
        ],
        "stone": [
            (
                "First, {A} wished for a mountain of {yummy}. {He} ate until {his} tummy hurt. Then {he} wished for so many toys"
                " that there was no place to sit. {A} was not happy at all."
            ),
            (
                'For the last wish, {A} thought for a long time. "I wish that everything was as it was before," {he} said. "And'
                ' that my friends were here."'
            ),
        ],
        "bell": [
            (
                "First, {A} wished for a house full of {yummy}. {He} ate until {his} tummy hurt. Then {he} wished for a horse,"
                " but the horse was too big for the house. What a mess!"
            ),
            (
                'For the last wish, {A} thought for a long time. "I wish that nobody in my village is ever hungry," {he} said.'
                " And so it was."
            ),
        ],
        "ring": [
            (
                '"Hello!" said the cat. "At last, you understand me. I would like more fish." The birds told {A} where the wind'
                ' comes from. But a little mouse was crying. "I cannot find my mother," it said.'
            ),
            "So {A} asked the birds, and the birds asked the frogs, and soon the mouse was home again.",
        ],
        "hat": [
            (
                "{A} put it on and walked through the house. Nobody saw {him}. {He} took a cookie, and nobody said a word. It was"
                ' fun. But then {Parent} called, "{A}, where are you?" and {phis} voice was sad.'
            ),
            '{A} took the hat off. "Here I am!" {he} said, and {Parent} hugged {him} tight. It is nice to be seen.',
        ],
        "pot": [
            (
                '"Soup, please!" said {A}, and the pot was full of hot soup. {He} ate and was happy. But {he} forgot to say thank'
                " you, and the pot did not stop. There was soup on the table, on the floor, and in the street!"
            ),
            '"Thank you!" cried {A}, and at last the pot stopped. The whole village ate soup for a week.',
        ],
        "pair of shoes": [
            (
                "{A} jumped over the fence. {He} jumped over the tree. Then {he} jumped over the house! The birds were very"
                " surprised. But {he} jumped so far that {he} did not know where {he} was."
            ),
            "A little bird showed {him} the way. Jump by jump, {A} came home, just in time for dinner.",
        ],
    }[obj]
    v["about"] = f"a {v['Ak']} who finds a magic {obj}"
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} [met an old woman in the {place}. She was carrying a heavy bag, and {A} helped her. "You are kind," she said.'
        ' "Take this {obj}.|helped an old man to cross the street. "Thank you," he said. "Take this {obj}.] It is magic: {power}.'
        ' But be careful!"',
        "/",
        "At first, {A} did not believe it. But then {he} tried it. " + mid[0],
        "/",
        mid[1],
        '[The next day, {A} gave the {obj} back . "Did you learn something?" "Yes," said {A}. "[I have all that I need|The best'
        ' things are not magic]."|{A} put the {obj} in a box, and {he} only used it to help others.|{A} learned that magic is'
        " best when you use it to help someone.]",
    )


def dragon(r):
    v = cast(r, a=["dragon"], b="child")
    v["about"] = "a friendly dragon"
    prob = r.choice(
        [
            (
                "could not breathe fire. Only [smoke|bubbles|cold air] came out",
                (
                    "[One night, a big storm came, and a fire started in the village.|In the summer, a house in the village was"
                    " on fire.] {A} came and blew [with all {his} might|as hard as {he} could]. Out came cold air and water, and"
                    " the fire was gone!"
                ),
                '"You do not need fire," said {B}. "You are good just as you are."',
            ),
            (
                "wanted to have friends, but everyone ran away when they saw {him}",
                (
                    "[Then winter came, and it was so cold that the river froze and nobody had wood.|One winter, the snow was so"
                    " high that nobody could get out.] {A} came and breathed warm air on the houses. The snow melted, and"
                    " everyone was warm."
                ),
                '"{He} is not scary at all," said the people.',
            ),
            (
                "was afraid of heights and did not want to fly",
                (
                    "[One day, {B} fell into the river, and the water was fast.|One day, {B} was stuck on a high rock, and night"
                    " was coming.] {A} forgot to be afraid. {He} opened {his} wings and flew! {He} picked up {B} and took {bhim}"
                    " home."
                ),
                '"You can fly!" shouted {B}. "I can fly!" said {A}.',
            ),
        ]
    )
    return v, say(
        r,
        v,
        "[Once upon a time|Long ago|Once], there was a {color} dragon named {A}. {A} lived [in a cave on a high mountain|in a big"
        " cave near a village|on top of a hill]. But {A} was not like other dragons. {He} " + prob[0] + ".",
        "{A} was [sad|lonely] about it.",
        "/",
        '{day}, a brave {Bk} named {B} came [up the mountain|to the cave]. "Are you going to eat me?" asked {B}. "[Oh no|Of'
        ' course not]," said {A}. "I only eat {yummy}." {B} laughed and sat down. They talked [for a long time|all afternoon],'
        " and {A} told {bhim} everything.",
        "/",
        prob[1],
        prob[2],
        "/",
        "From that day on, the people in the village loved {A}. The children [rode on {his} back|played with {him}] every Sunday,"
        " and {B} was {his} best friend. [And when the sun went down, {A} told them old dragon stories.|And they all lived"
        " happily ever after.|]",
    )


def robot(r):
    v = cast(r, a="child")
    v["bot"] = r.choice(["Beep", "Bolt", "Zip", "Rob", "Tick", "Nuts", "Dot", "Sparky"])
    v["about"] = f"a {v['Ak']} and a robot named {v['bot']}"
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} found an old robot [behind the house|in the cellar|in a box]. It was [dusty|rusty] and did not move. {A}"
        ' cleaned it and put in a new battery. Click! Two [green|blue|yellow] lights went on. "Hello," said the robot. "I am'
        ' {bot}. What can I do?"',
        "/",
        "{bot} could do many things. It could [count to a million|cook soup|carry heavy bags]. It could [clean the room|find lost"
        ' socks|sing like a bird]. But there was one thing {bot} did not know. "What is a friend?" it asked.',
        '{A} thought about it. "A friend is someone who [likes to be with you|is there when you are sad]," {he} said. "I do not'
        ' [understand|have that in my memory]," said {bot}.',
        "/",
        "[The next day|Some days later], {A} fell and hurt {his} knee. {He} cried. {bot} rolled over as fast as it could. It"
        ' [held {A}\'s hand|put a bandage on the knee|wiped {A}\'s tears]. "Do not cry," it said. "I am here."',
        '{A} looked up and smiled. "You see, {bot}? That is what a friend does." {bot}\'s lights [blinked|turned pink]. "Then I'
        ' am your friend," it said. "And you are mine."',
        "/",
        "[From that day on, they did everything together.|That evening, they looked at the stars together, and {bot} counted them"
        ' all.|And every night, {bot} stood by {A}\'s bed and said, "Good night, friend."]',
    )


ROLES = [
    ("pirate", "on an old ship", "the sea", "treasure"),
    ("princess", "in a tall castle", "the kingdom", "golden crown"),
    ("knight", "in a small castle", "the land", "silver shield"),
    ("wizard", "in a crooked tower", "the forest", "magic book"),
    ("witch", "in a little black house", "the forest", "magic broom"),
    ("fairy", "in a flower", "the meadow", "tiny wand"),
    ("mermaid", "in the deep blue sea", "the sea", "pearl necklace"),
    ("giant", "on a high mountain", "the valley", "big drum"),
    ("astronaut", "in a round space ship", "the stars", "star map"),
    ("unicorn", "in a quiet forest", "the forest", "silver horn"),
    ("dinosaur", "in a warm jungle", "the jungle", "big round egg"),
    ("prince", "in a big palace", "the kingdom", "golden ring"),
    ("cowboy", "on a dusty farm", "the hills", "old hat"),
    ("monster", "in a dark cave", "the cave", "bag of buttons"),
    ("elf", "in a hollow tree", "the forest", "green cap"),
    ("alien", "on a small pink planet", "the stars", "blinking ball"),
    ("superhero", "in a big city", "the city", "red cape"),
    ("snowman", "in a white garden", "the garden", "orange nose"),
    ("scarecrow", "in a field of corn", "the field", "straw hat"),
    ("detective", "in a small office", "the town", "big magnifying glass"),
]


def roles(r):
    """Somebody out of a tale loses or finds what is dear to them."""
    role, lives, where, dear = r.choice(ROLES)
    v = cast(r)
    v["Ak"], v["lives"], v["where"], v["dear"] = role, lives, where, dear
    v["about"] = r.choice(
        [
            f"a {role}",
            f"a {role}",
            f"a {role} named {v['A']}",
            f"a {role} and {'an' if v['Bk'][0] in 'aeiou' else 'a'} {v['Bk']}",
            f"a {role} who has lost {v['his']} {dear}",
        ]
    )
    return v, say(
        r,
        v,
        "[Once upon a time, there was|There once was|Long ago, there was] a {adj} {Ak} named {A}. {A} lived {lives}. {He} had a"
        " {dear}, and {he} was very proud of it. [Every evening, {he} looked at it and smiled.|{He} took it everywhere.]",
        "/",
        '{day}, the {dear} was gone! {A} looked high and low. ["Who took it?" {he} cried.|"It must be somewhere," {he} said.] So'
        " {he} set out to find it. {He} went all over {where}, until {he} met a {badj} {Bk} named {B}.",
        '"Have you seen my {dear}?" asked {A}. "[No, but I can help you to look|I saw something shiny over there]," said {B}. "[I'
        ' am good at finding things|Two can see more than one]." So they went on together.',
        "/",
        r.choice(
            [
                (
                    "They came to [a deep river|a wide river]. {A} was afraid, but {B} knew a way across. On the other side, they"
                    ' heard somebody cry. It was a small {color} bird. Next to it lay the {dear}. "I thought it was a nest," said'
                    ' the bird. "I have no home."'
                ),
                (
                    "They followed some tiny footprints to a hole in the ground. Inside, there was a family of mice. They had put"
                    ' the {dear} in the middle of the room. "It is so pretty," said the smallest mouse. "It makes our dark home'
                    ' bright."'
                ),
                (
                    'In the end, they found an old woman by the road. She held the {dear} in her hands. "I found it," she said.'
                    ' "I waited here, because I knew that somebody would miss it." She was tired and hungry.'
                ),
            ]
        ),
        '{A} [thought for a moment|was not angry anymore]. "[You need a friend more than I need to be angry|I will help you],"'
        " {he} said. "
        + r.choice(
            [
                "So {A} and {B} worked all afternoon and made something just as good for the little ones.",
                "{A} and {B} shared their {yummy}, and they all sat down together.",
            ]
        ),
        "/",
        "Then {A} took the {dear} home, and {B} came along. [From then on, there was always a light in the window and a friend at"
        ' the table.|"I lost one thing today," said {A}, "and I found two: my {dear} and a friend."|And they told each other'
        " stories until the moon was high.]",
    )


VEHICLES = [
    (
        "rocket",
        "the moon",
        "The ground got smaller and smaller, and the stars came near",
        "a small gray stone that shone a little",
        "jumped so high that they laughed out loud",
    ),
    (
        "submarine",
        "the bottom of the sea",
        "Fish in all colors swam past the round window",
        "a pink shell",
        "waved to a big old whale",
    ),
    (
        "hot air balloon",
        "the land behind the hills",
        "The houses below looked like toys",
        "a white feather",
        "flew side by side with the geese",
    ),
    (
        "train",
        "the mountains",
        "The fields flew past, and then the hills, and then the snow",
        "a pine cone",
        "slid down a white hill",
    ),
    (
        "sailboat",
        "the island of birds",
        "The wind pushed them over the blue water",
        "a smooth green stone",
        "danced with the parrots",
    ),
    ("little plane", "the big desert", "They flew through a cloud as soft as wool", "a jar of golden sand", "rode on a camel"),
    (
        "spaceship",
        "a planet with three moons",
        "It was very quiet, and stars were everywhere",
        "a blue leaf",
        "played with the small green people who lived there",
    ),
    ("old bus", "the sea", "They sang songs all the way", "a starfish", "built a castle out of sand"),
]


def trip(r):
    v = cast(r)
    v["veh"], v["to"], v["see"], v["gift"], v["did"] = r.choice(VEHICLES)
    v["about"] = r.choice(
        [
            f"a trip to {v['to']}",
            f"a trip in a {v['veh']}",
            f"a {v['Ak']} who goes to {v['to']}",
            f"a {v['veh']}",
            f"a {v['Ak']} and a {v['veh']}",
        ]
    )
    return v, say(
        r,
        v,
        intro(r, v),
        '[More than anything, {A} wanted to see {to}.|{A} dreamed of {to} every night.] "It is too far," [said the'
        " others|everyone said]. But {A} did not stop dreaming.",
        "/",
        "{day}, {A} and {his} friend {B} found an old {veh} [behind the barn|under a big sheet]. It was [dusty|rusty] and full of"
        " leaves. They cleaned it, they fixed it, and they painted it {color}. [It took them many days.|They worked until their"
        " hands were tired.] Then they packed {yummy} and a blanket, and off they went.",
        '{see}. ["Look!" said {B}. "It is so beautiful!"|{B} held {A}\'s hand.|"Are you afraid?" asked {B}. "A little," said {A}.'
        ' "But it is a good kind of afraid."]',
        "/",
        "At last, they came to {to}. They looked around with big eyes. They {did}. They ate their {yummy}, and nothing had ever"
        ' tasted so good. ["I could stay forever," said {B}.|"We made it!" said {A}.] But when it got late, {A} thought of home.'
        ' "[My {parent} will miss me|I think that I miss my own bed]," {he} said.',
        "So they took {gift} along, and they went back the way they had come. [{Parent} was waiting at the door.|It was dark when"
        " they came home.] {A} put it next to {his} bed.",
        "/",
        '"Where shall we go next?" asked {B}. {A} smiled and closed {his} eyes. [The world was big, and they had a {veh}.|"First'
        ' we sleep," {he} said.]',
    )


DISHES = [
    ("pizza", "cheese", "a pizza as big as a wagon wheel"),
    ("soup", "vegetables", "a pot of soup that smelled like summer"),
    ("ice cream", "strawberries", "ice cream in three colors"),
    ("cake", "cherries", "a cake with five floors"),
    ("bread", "nuts", "a warm bread with nuts"),
    ("jam", "berries", "twenty jars of red jam"),
    ("honey cookies", "honey", "a hill of honey cookies"),
    ("apple pie", "apples", "a golden apple pie"),
    ("pancakes", "blueberries", "a tower of pancakes"),
    ("lemonade", "lemons", "a big bowl of lemonade"),
]


def feast(r):
    v = cast(r)
    v["dish"], v["with"], v["made"] = r.choice(DISHES)
    v["about"] = r.choice([v["dish"], f"a {v['Ak']} who makes {v['dish']}", f"a {v['Ak']} and {v['dish']}", "a cooking contest"])
    return v, say(
        r,
        v,
        intro(r, v),
        "{A} could make the best {dish} in [the whole town|the whole forest|the land]. Everybody said so. [People came from far"
        " away to try it.|It was {his} grandma who had taught {him}.]",
        "/",
        "{day}, there was a contest. Whoever made the best food would win a golden spoon. {A} wanted to win so much! {He} got up"
        " early and picked the best {with}. {He} worked and worked. But {his} neighbor {B}, who wanted to win, too, sat in front"
        " of the house and looked sad.",
        '"What is wrong?" asked {A}. "[My fire will not burn|My basket is empty|I dropped everything on the floor]," said {B}.'
        ' "Now I cannot make anything." {A} looked at {his} basket. There was [just enough for one|only enough for one]. What'
        " should {he} do?",
        "/",
        '{A} thought about the golden spoon. Then {he} thought about {B}. "Come," {he} said. "We will make it together." {B}'
        " could not believe it. They mixed, they stirred, and they laughed. [{A} knew how to make it sweet, and {B} knew how to"
        " make it pretty.|There was flour in their hair and sugar on their noses.]",
        'When it was done, it was {made}. [Everybody came to look.|The judges ate and ate.] "Who made this?" they asked. "We'
        ' did," said {A} and {B}. And they won!',
        "/",
        "They could not cut the golden spoon in two. So {A} had it in the winter, and {B} had it in the summer. [But {dish} they"
        " always made together.|And every year, they made {dish} for the whole town.]",
    )


def door(r):
    """Something strange is found: any thing and any place."""
    v = cast(r, a="child")
    v["spot"] = r.choice(
        [
            "at the end of the garden",
            "behind the old clock",
            "in the trunk of a big tree",
            "under the stairs",
            "in the wall of the school",
            "behind a waterfall",
        ]
    )
    v["world"], v["rule"], v["who"] = r.choice(
        [
            ("everything was made of cake", "you must not eat the houses", "a baker no bigger than a spoon"),
            ("it was always night and the flowers were lamps", "you must walk softly", "a sleepy moth with a lantern"),
            ("all the animals could talk and the people were quiet", "you must say please to the trees", "a very polite goat"),
            (
                "everything was very big, and {A} was as small as an ant",
                "you must watch out for feet",
                "an old ant with a red hat",
            ),
            ("the rain fell up into the sky", "you must hold your hat", "a fish with an umbrella"),
            (
                "the toys were alive and had their own town",
                "you must never say that they are only toys",
                "a tin soldier with one boot",
            ),
            ("all the lost things of the world were lying in heaps", "you may take back only one", "a magpie who counted socks"),
        ]
    )
    v["about"] = r.choice(
        [
            "a secret door",
            f"a {v['Ak']} who finds a secret door",
            f"a {v['Ak']} and a secret world",
            "a strange land",
            f"a {v['Ak']} with a big secret",
        ]
    )
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} found a small {color} door {spot}. [It had never been there before.|It was so small that {he} had to crawl.]"
        " {A} knocked. Nobody answered. {He} turned the handle, and the door opened with a soft click.",
        "/",
        'Behind it was a land where {world}. [{A} rubbed {his} eyes.|"Am I dreaming?" said {A}.] "Welcome," said a voice. It was'
        ' {who}. "You may look at everything. There is only one rule: {rule}." "[I promise|I will remember that]," said {A}.',
        "{A} walked and looked and could not stop smiling. [There was so much to see.|It was better than any book.] Then {he} saw"
        ' a small {Bk} who was crying. "I am {B}," said the {Bk}. "I came through the door, too, and I forgot the rule. Now I'
        ' cannot find the way back."',
        "/",
        '"Take my hand," said {A}. "We will find it together." They asked everyone they met. They followed the sound of a bell,'
        " and they counted their steps. Once they got lost, but {A} did not let go. And there it was, the little {color} door!",
        'Click! They were back. It was still the same [afternoon|day], and {Parent} was calling for dinner. "Where have you'
        ' been?" {phe} asked. {A} and {B} looked at each other and laughed. "Not far," they said. The next day, the door was'
        " gone. But sometimes, when it is very quiet, {A} can still hear the bell.",
    )


PLOTS = [moon, magic, dragon, robot, roles, trip, feast, door]
