"""Friends: lost and found, sharing, quarrels made up, kindness. A plot takes a random.Random and returns (variables, text)."""

from corpus.cast import cast, intro
from corpus.grammar import say
from corpus.words import LOSABLE, MORALS_FRIEND


def lost(r):
    v = cast(r)
    v["thing"] = r.choice(LOSABLE)
    spots = (
        r.sample(
            [
                "under the bed",
                "behind the door",
                "in the kitchen",
                "under the table",
                "in the garden",
                "behind the sofa",
                "in the box",
                "on the shelf",
                "by the gate",
            ],
            4,
        )
        if not v["wild"]
        else r.sample(
            [
                "under the leaves",
                "behind the big rock",
                "by the pond",
                "in the tall grass",
                "under the old tree",
                "near the river",
                "in the bushes",
                "behind the log",
            ],
            4,
        )
    )
    v["s1"], v["s2"], v["s3"], v["s4"] = spots
    how = r.choice(
        [
            (
                "There, {s4}, was the {color} {thing}! [It was a little dirty, but that was all right.|It had been there all the"
                " time.]"
            ),
            '"Look!" said {B}. "What is that?" It was the {thing}! It was {s4}.',
            'Then {B} saw something {color} {s4}. "Is this your {thing}?" {bhe} asked. "Yes!" cried {A}.',
        ]
    )
    v["about"] = f"a {v['Ak']} who loses a {v['color']} {v['thing']}"
    return v, say(
        r,
        v,
        intro(r, v),
        "{A} had a {color} {thing}. [It was {his} favorite thing in the world.|{He} took it everywhere.|It was a gift from {his}"
        " {parent}.|{He} loved it very much.]",
        "/",
        '{day}, {A} could not find [the|{his}] {thing}. ["Oh no!" {he} said. "Where is my {thing}?"|{He} felt very sad.|{He}'
        " wanted to cry.]",
        "{A} looked {s1}. It was not there. {He} looked {s2}. It was not there [either|]. [{He} even looked {s3}, but there was"
        " no {thing}.|]",
        "/",
        "[{A} sat down and began to cry.|{A} was so sad that {he} sat down on the ground.|A tear ran down {his} cheek.] [Just"
        ' then|Then], {his} friend {B}, a {badj} {Bk}, came by. "[What is wrong|Why are you sad], {A}?" asked {B}.',
        '"I lost my {thing}," said {A}. "[Do not worry|Do not be sad|Don\'t cry]," said {B}. "[I will help you look for it|We can'
        ' look for it together|Let us look together]."',
        "/",
        "They looked and looked. " + how,
        '{A} [hugged the {thing}|jumped up and down|was so happy]. "Thank you, {B}!" {he} said. ["You are a good friend."|"I'
        ' could not find it without you."|]',
        "[That night, {A} put the {thing} in a safe place.|From then on, {A} always put the {thing} in the same place.|Then they"
        ' went home and ate {yummy} together.|"[It is good|How nice] to have a friend like you," said {A}.]',
    )


def newfriend(r):
    v = cast(r)
    v["about"] = f"a lonely {v['Ak']} who makes a new friend"
    v["game"] = r.choice(
        ["hide and seek", "tag", "catch", "a counting game", "with a ball", "by the water", "in the tall grass", "pirates"]
    )
    return v, say(
        r,
        v,
        intro(r, v),
        "But {A} [did not have any friends|was often alone|felt lonely]. [{He} had nobody to play with.|{He} wished for a"
        " friend.]",
        "/",
        "{day}, {A} went to the {place}. {weather} There {he} saw a {Bk} [sitting under a tree|sitting all alone|playing alone]."
        " [{He} had never seen {bhim} before.|{A} wanted to say hello, but {he} was shy.]",
        '{A} [took a deep breath|was a little nervous|walked up to {bhim}]. "Hello," {he} said. "My name is {A}. What is your'
        ' name?"',
        'The {Bk} [looked up and smiled|smiled]. "I am {B}," {bhe} said. "[I am new here|I just moved here]. [I do not know'
        ' anyone|I do not have any friends yet]."',
        "/",
        '"[Do you want to|Would you like to] play with me?" asked {A}. "Yes, please!" said {B}.',
        "They played {game} [all day|until the sun went down|all afternoon]. They [laughed|giggled] [and laughed|a lot]. Then {A}"
        ' [shared {his} {yummy} with {B}|gave {B} a {food}]. ["This is the best day," said {B}.|{B} said it was very tasty.|]',
        "/",
        'When it was time to go home, {B} [looked|was] a little sad. "Will you come back tomorrow?" {bhe} asked. "[Of course|Yes,'
        ' I will]!" said {A}. ' + r.choice(MORALS_FRIEND),
        "[{A} was not lonely anymore.|{A} was glad that {he} had said hello.|All it took was one little hello.|]",
    )


def sharing(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} who learns to share"
    v["thing"] = r.choice(
        ["a big bag of {yummy}", "a new {color} {toy}", "a big box of crayons", "a basket of {yummy}", "a shiny {color} {toy}"]
    )
    food = "yummy" in v["thing"]
    v["it"], v["useit"] = ("them", "eat") if food or "crayons" in v["thing"] else ("it", "play with")
    v["useit"] = "eat" if food else "draw with" if "crayons" in v["thing"] else "play with"
    v["them"] = "the {yummy}" if food else "the crayons" if "crayons" in v["thing"] else "the {toy}"
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {his} {parent} gave {him} {thing}. {A} was [so|very] happy.",
        "/",
        (
            '{A} went to the {place} with {them}. [{His} friend {B} was there.|There {he} met {his} friend {B}.] "[What do you'
            ' have there|That looks nice], {A}!" said {B}. "[Can I have some|May I have some], please?"'
            if food
            else (
                '{A} went to the {place} with {them}. [{His} friend {B} was there.|There {he} met {his} friend {B}.] "[Wow|Oh,'
                ' how nice]!" said {B}. "Can I {useit} {it}, too?"'
            )
        ),
        '"No!" said {A}. "[They are|It is all] mine!"' if food else '"No!" said {A}. "[It is mine|Only I can {useit} {it}]!"',
        "{B} [was sad|looked down] and walked away. {A} sat down alone.",
        "/",
        (
            "{A} [ate and ate, but it was not much fun|ate one, and then another, but they did not taste so good] alone."
            if food
            else "{A} began to {useit} {it}. But [it was not much fun alone|after a while, {he} was bored]."
        ),
        "[{He} looked at {B}. {B} was sitting under a tree with a sad face.|{He} thought about {B}'s sad face.|Then {he} saw that"
        " {B} was crying.] {A} [felt bad|did not feel good about it].",
        '{A} went to {B} and said, "I am sorry, {B}. [I was not nice.|I should share.] [Let us {useit} {it} together|Do you want'
        ' to {useit} {it} with me]?"',
        '{B} [smiled|was happy again|jumped up]. "Yes! Thank you, {A}!"',
        "/",
        (
            "They [sat down under a big tree and ate together|ate the {yummy} and told jokes]. [Now they tasted much better!|It"
            " was a lovely little feast.]"
            if food
            else "They took turns, and they laughed [all day|a lot]. [It was much more fun with two.|Now it was fun!]"
        ),
        "{A} [learned|found out] that [sharing makes everyone happy|sharing is more fun than having it all alone|good things are"
        " better when you share them].",
    )


def hurt(r):
    v = cast(r, a="child")
    v["pet"], v["part"], v["go"] = r.choice(
        [
            ("bird", "wing", "fly"),
            ("sparrow", "wing", "fly"),
            ("rabbit", "leg", "hop"),
            ("duckling", "foot", "swim"),
            ("squirrel", "paw", "climb"),
            ("hedgehog", "paw", "walk"),
            ("owl", "wing", "fly"),
            ("puppy", "paw", "run"),
            ("kitten", "paw", "jump"),
            ("fawn", "leg", "run"),
        ]
    )
    v["about"] = f"a {v['Ak']} who helps a hurt {v['pet']}"
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} was walking near the {place}. {weather} [Suddenly|Then], {he} heard a [tiny|soft|sad] sound. [Under a bush|On"
        " the ground|Next to a stone] there was a small {pet}. It could not {go}. Its {part} was hurt.",
        "/",
        '"Oh, you poor thing!" said {A}. "[Do not be afraid. I will help you|I will take care of you]." {He} [picked it'
        " up|wrapped it in {his} scarf] very gently and took it home.",
        "{His} {parent} helped. They [cleaned|looked at] the {part} and put a [soft|little] bandage on it. {A} made a bed [in a"
        " box|out of an old towel] and gave the {pet} water and food.",
        "/",
        "Every day, {A} [sat with|sang to|talked to] the {pet}. [Every day, it got a little stronger.|Slowly, the {part} got"
        " better.] After [two weeks|some time|many days], the {pet} could {go} again.",
        '"It wants to go home," said {Parent}. {A} was sad, but {he} [knew it was right|nodded]. They took the {pet}'
        ' [outside|back to the {place}]. "Goodbye, little friend," said {A}. The {pet} looked back [one more time|at {him}], and'
        " then it was gone.",
        "/",
        "[The next morning, {A} heard a sound at the window. It was the {pet}! It had come to say hello.|A week later, {A} saw"
        " the {pet} again. It had brought a friend!|In the spring, the {pet} came back with three little ones. {A} was so happy"
        ' to see them.] [{A} smiled all day.|"I knew you would come back," said {A}.|]',
    )


def truth(r):
    v = cast(r, a="child")
    v["vase"], v["how"] = r.choice(
        [
            ("vase", "played with a ball in the house"),
            ("cup", "ran through the kitchen"),
            ("lamp", "jumped on the bed"),
            ("plate", "danced on a chair"),
            ("window", "kicked a ball near the house"),
            ("flower pot", "chased the cat"),
            ("picture", "threw a pillow"),
            ("clock", "climbed on the shelf"),
        ]
    )
    v["pretty"] = r.choice(["pretty", "blue", "old", "green", "big"])
    v["about"] = f"a {v['Ak']} who breaks a {v['vase']} and tells the truth"
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} {how}. {Parent} had said many times, "Please do not do that." But {A} did not think about it. Crash! The'
        " {pretty} {vase} was broken.",
        "/",
        "{A} was [scared|very sorry]. {He} [hid the pieces|put the pieces behind the sofa|quickly hid the pieces under a"
        ' blanket]. Soon {Parent} came [in|home]. "What happened to the {vase}?" {phe} asked. "[I do not know|Maybe the cat did'
        ' it]," said {A}.',
        "But {A} did not feel good. [{His} tummy hurt.|{He} could not eat {his} dinner.|{He} could not sleep.|{His} face felt"
        ' hot.] {He} thought about {Parent}. ["I told a lie," {he} thought.|]',
        "/",
        'At last, {A} went to {Parent}. "I [have to tell you something|did it]," {he} said [softly|with tears in {his} eyes]. "I'
        ' broke the {vase}, and I did not tell the truth. I am very sorry."',
        "{Parent} was quiet for a moment. Then {phe} [hugged {A}|took {A}'s hand]. \"[I am sad about the {vase}|A {vase} can"
        ' break]," {phe} said. "But I am [glad|proud] that you told me the truth. [That was brave.|It is not always easy.]"',
        "/",
        '[They swept up the pieces together|They cleaned up together]. [After that, {A} only played outside.|"Next time I will be'
        ' careful," said {A}.] {A} felt [light and happy again|much better].',
    )


def school(r):
    v = cast(r, a="child", b="child")
    v["about"] = f"a {v['Ak']} on the first day of school"
    v["teach"] = r.choice(["Mrs. Brown", "Mr. Green", "Miss Lee", "Mr. Hill", "Mrs. Rose", "Miss Bell"])
    return v, say(
        r,
        v,
        intro(r, v),
        "Today was {A}'s first day of school. [{He} had a new {color} backpack.|{He} had new shoes and a new {color} bag.] But"
        ' {A} did not want to go. "[What if nobody likes me|What if I do not know anyone]?" {he} asked.',
        "/",
        '"It is all right to be nervous," said {Parent}. "[Everyone is new today|I was nervous on my first day, too]. Here, take'
        ' this." {pHe} put a [small stone|little button|shiny coin] in {A}\'s hand. "[When you feel alone, hold it and think of'
        ' me|It is a little bit of home in your pocket]."',
        "In the classroom, there were many children. The teacher was {teach}. [{A} sat down in the last row.|{A} held the little"
        " thing in {his} pocket very tight.] Next to {him} sat a {Bk} who looked [at the floor|very sad]. {A} saw a tear in"
        " {bhis} eye.",
        "/",
        '{A} took a deep breath. "Hello, I am {A}," {he} said. "[Are you nervous, too|Is this your first day, too]?" The {Bk}'
        ' nodded. "I am {B}," {bhe} said. {A} took the little thing out of {his} pocket. "You can hold this for a while," {he}'
        ' said. "It helps." {B} smiled.',
        "They drew pictures, they sang songs, and they played outside. [The day went by so fast.|{teach} told a funny story.]"
        ' When {Parent} came, {A} did not want to go home yet. "Can I go back tomorrow?" {he} asked. {Parent} laughed. "Yes, you'
        ' can. Tomorrow and the day after."',
    )


def kindness(r):
    v = cast(r)
    v["odd"] = r.choice(
        [
            "had very big ears",
            "had a very long nose",
            "was very small",
            "had a funny laugh",
            "walked very slowly",
            "had a patch on {his} coat",
            "was very tall",
            "had a crooked tail" if v["wild"] else "had big round glasses",
        ]
    )
    v["use"] = {
        "had very big ears": "heard a tiny cry far away",
        "had a very long nose": "smelled smoke before anyone else",
        "was very small": "could go through a hole where nobody else could go",
        "had a funny laugh": "laughed so loud that everybody could follow the sound in the fog",
        "walked very slowly": "saw the tracks on the path that all the others had missed",
        "had a patch on {his} coat": "tore off the patch and tied it to a stick as a flag",
        "was very tall": "could see over the trees",
        "had a crooked tail": "hung from a branch by {his} tail and reached down",
        "had big round glasses": "used {his} glasses to see the little one from far away",
    }[v["odd"]]
    v["about"] = f"a {v['Ak']} who is teased, and then helps"
    return v, say(
        r,
        v,
        intro(r, v),
        'But {A} {odd}. Some of the others laughed at {him}. "[Look at {A}|You look silly]!" they said. The one who laughed the'
        " most was {B}.",
        "/",
        '{A} went home and cried. {His} {parent} dried {his} tears. "[You are just right the way you are|There is nobody else'
        ' like you]," {phe} said. "[One day they will see it|What makes you different can be a gift]."',
        "[Some days later|{day}], {B}'s little [brother|sister] was lost [in the forest|in the fog]. Everybody looked and called."
        " [It was getting dark.|Nobody could find the little one.] {B} was very scared.",
        "/",
        "{A} did not think about the mean words. {He} came to help. And {he} {use}. That is how they found the little one, [cold"
        " but safe|tired but safe|safe and sound].",
        '{B} looked at the ground. "I was mean to you," {bhe} said, "and you helped me. I am so sorry." "[It is all right|I'
        ' forgive you]," said {A}. "Let us be friends."',
        "And nobody laughed at {A} again. [They had learned to look at the heart, and not at the outside.|After all, everyone is"
        " a little different.|]",
    )


def birthday(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} who thinks that everyone forgot {v['his']} birthday"
    return v, say(
        r,
        v,
        intro(r, v),
        "[Today was {A}'s birthday.|It was {A}'s birthday.] {He} woke up very early and was excited. But at breakfast, {his}"
        ' family only said, "Good morning." Nobody said, "Happy birthday."',
        "/",
        '{A} went to see {his} friend {B}. "Hi, {B}," {he} said. "Do you know what day it is?" "[It is a nice day|It is'
        ' Saturday]," said {B}. "[But I have no time now|I am very busy today]. Goodbye!" {A} was [sad|very sad].',
        '{He} went to the {place} and sat there alone. "[They all forgot my birthday|Nobody thought of me]," {he} said to a'
        " [butterfly|little bird|stone]. [A tear fell on the ground.|{He} sat there for a long time.]",
        "/",
        'When the sun went down, {A} walked home slowly. {His} home was dark [and quiet|]. {He} opened the door. "Surprise!"'
        " everybody shouted. The lights went on. There were balloons in [red|blue] and yellow, and a big cake with candles. {B}"
        " was there, too.",
        '"Did you think that we forgot?" laughed {B}. "[We worked all day to make this party|I was busy because I made this for'
        ' you]." {bHe} gave {A} a [small box|gift with a {color} ribbon]. In it was a {toy}.',
        "/",
        '{A} laughed and [hugged them all|blew out the candles]. ["What did you wish for?" asked {B}. "Nothing," said {A}. "I'
        ' have everything."|They ate, sang, and danced until late.] It was the best birthday ever.',
    )


def picnic(r):
    v = cast(r)
    v["about"] = f"a {v['Ak']} and a picnic"
    v["guest"] = r.choice(["ants", "ducks", "sparrows", "mice", "bees"])
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} and {his} friend {B} went on a picnic. They had {yummy}, {yummy2}, and [a big cake|lemonade|bread and"
        " cheese]. {weather} They put a {color} blanket under a tree .",
        "/",
        "But when they wanted to eat, some {guest} came. First there were two, and then there were [ten|many]. They [took the"
        ' crumbs|looked at the food with hungry eyes]. "[Go away|Shoo]!" said {B}. "This is our food!"',
        'The {guest} went away, but they looked so [sad|hungry]. {A} thought for a moment. "We have so much," {he} said. "We can'
        ' give them a little." So they put some crumbs on a big leaf and laid it in the grass.',
        "/",
        "The {guest} were so happy! They ate from the leaf and did not come to the blanket anymore. So everyone had [a good"
        " lunch|enough].",
        r.choice(
            [
                (
                    'When {A} and {B} wanted to go home, they could not find the path. But the {guest} showed them the way. "You'
                    ' see," said {A}, "it is good to have friends everywhere."'
                ),
                (
                    'After lunch, {A} lay down in the grass and looked at the clouds. "That one looks like a [whale|shoe|sheep],"'
                    ' {he} said. "And that one looks like a cake," said {B}. They laughed, and the day went by.'
                ),
                (
                    "From then on, each time they had a picnic, they brought a little extra. And each time, their little guests"
                    " were already waiting."
                ),
            ]
        ),
    )


def trade(r):
    v = cast(r)
    v["t1"], v["t2"], v["t3"] = r.sample(
        [
            "a shiny stone",
            "a long rope",
            "a warm blanket",
            "a big basket",
            "a small bell",
            "a wooden spoon",
            "a jar of honey",
            "a pair of boots",
        ],
        3,
    )
    v["about"] = f"a {v['Ak']} who gives things away"
    need = {
        "a shiny stone": "wants something pretty for the window",
        "a long rope": "has to pull a boat out of the water",
        "a warm blanket": "is very cold",
        "a big basket": "has nothing to carry the apples in",
        "a small bell": "cannot find the goat in the fog",
        "a wooden spoon": "wants to cook soup, but has nothing to stir it with",
        "a jar of honey": "has a sore throat",
        "a pair of boots": "has wet feet",
    }
    v["n1"], v["n2"], v["n3"] = need[v["t1"]], need[v["t2"]], need[v["t3"]]
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} found {t1} on the road. "[How lucky I am|What luck]!" {he} said. {He} took it and walked on.',
        "/",
        'Soon {A} met an old man. "Can you help me?" the old man asked. "I know someone who {n1}." "You can have this," said {A}.'
        ' "[I do not need it|I am happy to help]." The old man was glad, and he gave {A} {t2}.',
        '{A} walked on. {He} met a woman with a child. "Oh dear," she said. "My brother {n2}." "Then take this," said {A}, and'
        ' gave it to her. "Thank you!" said the woman. "Please take {t3}. I have two."',
        "/",
        'At the end of the road, {A} met {B}, a {badj} {Bk}, who was sad. "What is wrong?" asked {A}. "My grandmother {n3}, and I'
        ' cannot help her," said {B}. {A} did not think twice. "Here, take it," {he} said.',
        '{B} had nothing to give. "I can only give you a [song|smile|hug]," {bhe} said. "[That is the best of all|I like that'
        ' best]," said {A}. ' + r.choice(MORALS_FRIEND),
        "/",
        "So {A} went home with empty hands, but with [a full heart|a happy heart and a new friend].",
    )


PLOTS = [lost, newfriend, sharing, hurt, truth, school, kindness, birthday, picnic, trade]
