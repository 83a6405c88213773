"""Being afraid, trying again, getting lost. A plot takes a random.Random and returns (variables, text)."""

from corpus.cast import cast, intro
from corpus.grammar import say


def dark(r):
    v = cast(r)
    v["noise"], v["was"] = r.choice(
        [
            ("a tap, tap, tap", "a branch that touched the window"),
            ("a soft scratching sound", "a tiny mouse with a crumb"),
            ("a low whoo, whoo", "an owl in the tree"),
            ("a swish, swish", "the curtain in the wind"),
            ("a drip, drip, drip", "the rain on the roof"),
            ("a creak", "the old door in the wind"),
        ]
    )
    v["about"] = f"a {v['Ak']} who is afraid of the dark"
    return v, say(
        r,
        v,
        intro(r, v),
        "{A} was not afraid of [big dogs|storms|spiders|tall trees]. But {A} was afraid of the dark.",
        "/",
        "[Every night|When the sun went down], {A} [hid under {his} blanket|pulled the blanket over {his} head]. [One night|That"
        ' night], {he} heard a sound. It was {noise}. ["What is that?" {he} whispered.|{His} heart went boom, boom, boom.|"Is it'
        ' a monster?" {he} thought.]',
        '{A} called for {his} {parent}. {Parent} came in and sat down [on the bed|next to {him}]. "[What is the matter|What is'
        ' wrong], my dear?" {phe} asked. "There is something in the dark," said {A}.',
        "/",
        '"[Let us look together|Shall we see what it is]?" said {Parent}. {pHe} took {A}\'s hand. They walked [slowly|on tiptoe]'
        " to the sound. And what did they see? It was only {was}!",
        '{A} [laughed|began to laugh|had to giggle]. "[That is not a monster|It is not scary at all]!" {he} said.',
        '"[In the dark, small things can seem big|Things look strange when we cannot see them well]," said {Parent}. "[But it is'
        ' the same room as in the day|And look, the moon is here to keep you company]."',
        "/",
        '{Parent} [gave {A} a small lamp|opened the curtain so that {A} could see the stars|left the door open a little]. "Good'
        ' night, {A}," {phe} said. {A} [counted the stars|listened to the sound again] and [smiled|was not afraid anymore]. Soon'
        " {he} was fast asleep.",
    )


def learn(r):
    v = cast(r, a="child", b="child")
    act, tip, fail = r.choice(
        [
            ("ride a bike", "Look ahead and not at the ground", "{He} fell [into the grass|off the bike]"),
            ("swim", "Kick your legs and breathe slowly", "{He} swallowed some water and [coughed|splashed]"),
            ("fly a kite", "Run with the wind behind you", "The kite fell to the ground"),
            ("tie {his} shoes", "Make two loops, like two rabbit ears", "The knot came [undone|apart]"),
            ("skate", "Bend your knees a little", "{He} fell on {his} bottom"),
            ("whistle", "Make your lips round and blow softly", "Only air came out"),
            ("jump rope", "Listen to the rope and jump when it taps the ground", "The rope got stuck on {his} feet"),
            ("draw a horse", "Start with simple circles", "The horse looked like a [potato|table]"),
            ("bake bread", "Be patient and let the dough rest", "The bread was as hard as a stone"),
            ("play the drum", "Start slow and count to four", "It sounded like a [falling pot|big mess]"),
            ("catch a ball", "Keep your eyes on the ball", "The ball [fell to the ground|hit {his} nose]"),
            ("climb the big tree", "Hold on with both hands and take small steps", "{He} slipped back down"),
        ]
    )
    v["act"], v["tip"] = act, tip
    v["fail"] = fail
    v["about"] = f"a {v['Ak']} who learns to " + act.replace("{his}", v["his"])
    return v, say(
        r,
        v,
        intro(r, v),
        "More than anything, {A} wanted to [learn how to|] {act}. [All {his} friends could do it.|{His} friend {B} could do it"
        " very well.|It looked like so much fun.]",
        "/",
        '{day}, {A} tried. {fail}. {He} tried again. {fail}. ["I cannot do it!" said {A}. {He} was [sad|angry].|{A} wanted to'
        ' give up.|"It is too hard," {he} said with tears in {his} eyes.]',
        '{B} [saw it|came over|heard {him}]. "[Do not give up|Don\'t stop now]," said {B}. "[I could not do it at first,'
        ' either|It took me a long time, too]. {tip}."',
        "/",
        "{A} [nodded|wiped {his} eyes|took a deep breath]. {He} tried again[| and again]. [At first, it was hard.|It was a little"
        " better.] {He} practiced [every day|all week|for many days]. [Each time, it went a little better.|Sometimes it went"
        " wrong, but {A} did not stop.]",
        'Then, [one morning|on Sunday|at last], it worked! "Look!" {A} shouted. "I can do it!"',
        '{B} clapped {bhis} hands. "[I knew you could do it|Well done, {A}]!" {bhe} said.',
        "{A} was [very|so] proud. [{He} learned that you only fail when you stop trying.|Now {he} knew that hard things get easy"
        ' with practice.|"I just had to keep trying," {he} said.|The next week, {he} helped a smaller child to learn it, too.]',
    )


def gotlost(r):
    v = cast(r, a="child")
    v["where"], v["saw"], v["person"] = r.choice(
        [
            ("market", "a man with [balloons|a funny hat]", "a woman who sold fruit"),
            ("zoo", "the monkeys", "a zoo keeper"),
            ("big store", "a shelf full of toys", "a woman at the desk"),
            ("beach", "a tiny crab", "a lifeguard"),
            ("park", "a [yellow|blue] butterfly", "a police officer"),
            ("fair", "a clown", "a man who sold tickets"),
            ("train station", "a big black train", "a woman in a uniform"),
        ]
    )
    v["about"] = f"a {v['Ak']} who gets lost at the {v['where']}"
    return v, say(
        r,
        v,
        intro(r, v),
        '{day}, {A} went to the {where} with {his} {parent}. [It was very busy there.|There were so many people.] "[Stay close to'
        ' me|Hold my hand]," said {Parent}.',
        "/",
        "But then {A} saw {saw}. {He} [went closer to look|followed it for a while|stopped to watch]. [It was so"
        ' interesting!|{He} laughed.] When {A} turned around, {Parent} was gone. ["{Parent}?" called {A}. No one answered.|{A}'
        " could not see {phim} anywhere.] {A} was scared.",
        '{He} wanted to run. But then {he} remembered what {Parent} always said: "If you get lost, [stay where you are and ask'
        ' for help|stop and find someone who can help]."',
        "/",
        '{A} saw {person}. "Excuse me," {he} said. "I cannot find my {parent}." "[Do not worry|You did the right thing]," was the'
        ' kind answer. "What is your name? We will wait here together."',
        'It did not take long. "{A}!" someone called. It was {Parent}! {pHe} ran to {A} and hugged {him} tight. "I was so'
        ' worried," said {Parent}. "I am sorry," said {A}. "[I did not stay close|I should have stayed with you]."',
        "/",
        '"You [stayed calm|were very brave] and you asked for help. That was [smart|very good]," said {Parent}. [They said thank'
        " you.|] Then they went home, hand in hand. {A} did not let go [even once|until they were home].",
    )


def monster(r):
    v = cast(r, a="child")
    v["it"], v["sound"] = r.choice(
        [
            ("a kitten", "meow"),
            ("a puppy", "woof"),
            ("a little hedgehog", "sniff"),
            ("a hamster", "squeak"),
            ("a small green monster who was afraid of children", "eek"),
        ]
    )
    v["about"] = f"a {v['Ak']} and something under the bed"
    return v, say(
        r,
        v,
        intro(r, v),
        "[One night|One evening], {A} was in bed. It was quiet. Then {he} heard a noise from under the bed. Rustle, rustle. [{A}"
        " held {his} breath.|{A} pulled up {his} feet.]",
        "/",
        '"Who is there?" {he} whispered. Nobody answered. Rustle, rustle. {A} wanted to call {Parent}. But then {he} thought,'
        ' "[Maybe it is more afraid than I am|I will be brave and look]." {He} took {his} [flashlight|little lamp]. {He} counted:'
        " one, two, three. Then {he} looked under the bed.",
        'Two [big|round|shiny] eyes looked back. "[{sound}|{sound}, {sound}]!" It was {it}!'.replace(
            '"[{sound}|{sound}, {sound}]!"', '"' + v["sound"].capitalize() + '!"'
        ),
        "/",
        '"Oh!" said {A}. "You are not scary. You are [small|cute]! How did you get in here?" [The window was open. It was cold'
        " outside.|It was shaking.] {A} held out {his} hand. Slowly, very slowly, it came out and sat on {his} [knee|foot].",
        '{A} gave it [some water and a crumb of bread|a warm place in an old sweater]. ["You can stay tonight," {he} said.|] In'
        ' the morning, {Parent} was very surprised. "[Who is this|What have you got there]?" {phe} asked. "This is my new'
        ' friend," said {A}. "I thought it was a monster, but it was only lonely."',
        "/",
        "[They asked everywhere, but nobody missed it. So it could stay.|And from that day on, {A} was never afraid of noises in"
        " the night.] {A} called it [Button|Shadow|Pepper|Moon], and every night it slept [next to|at the end of] the bed.",
    )


def tree(r):
    v = cast(r, a="child", b="child")
    v["stuck"] = r.choice(["kitten", "kite", "ball", "balloon", "little cat"])
    alive = v["stuck"] in ("kitten", "little cat")
    v["about"] = f"a {v['stuck']} stuck in a tree"
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} was playing [with {B}|] in the {place}. {weather} "
        + (
            "Then they heard a sad meow. A small {stuck} sat high up in a tree. It could not get down."
            if alive
            else "The wind blew hard, and the {stuck} flew up, up, up. Then it was stuck high in a tree."
        ),
        "/",
        '"[I will climb up|I can get it]," said {A}. But the tree was too [tall|high]. "[Maybe we can use a stick|I will jump],"'
        " said {B}. But that did not work, either.",
        "[A {badj} man came by|Then the tall neighbor came by|Then {A}'s {parent} came]. \"[Can you help us|Could you help us],"
        ' please?" asked {A}. '
        + r.choice(
            [
                "They got a ladder. {A} held it on one side and {B} held it on the other side.",
                "First {B} stood on the bench, and then {A} stood on the strong shoulders of the grown-up.",
                "They all held a big blanket under the tree. Then they shook the branch very gently.",
            ]
        ),
        "/",
        (
            '"[Come here, little one|Do not be afraid]," said {A}. The {stuck} [jumped|came down] right into {his} arms. It was'
            " shaking a little. Then it began to purr."
            if alive
            else (
                "And there it was! The {stuck} came down. [There was only a small scratch on it.|It was as good as new.]"
                ' "Hooray!" they all shouted.'
            )
        ),
        '"[Together we did it|We did it together]," said {B}. '
        + (
            "They gave the {stuck} some milk and took it home to its mother. "
            if alive
            else "They said thank you and played until it was time for dinner. "
        )
        + "[{A} learned that it is good to ask for help.|Alone it was too hard, but together it was easy.|]",
    )


def show(r):
    v = cast(r)
    v["thing"], v["act"] = r.choice(
        [
            ("violin", "play the violin"),
            ("drum", "play the drum"),
            ("song", "sing"),
            ("dance", "dance"),
            ("poem", "say a poem"),
            ("trick", "do a magic trick"),
            ("flute", "play the flute"),
        ]
    )
    v["about"] = r.choice(
        [f"a {v['Ak']} who is too shy to {v['act']}", f"a shy {v['Ak']}", f"a {v['Ak']} who wants to {v['act']}", "a big show"]
    )
    return v, say(
        r,
        v,
        intro(r, v),
        "At home, when nobody was looking, {A} liked to {act}. {He} was very good at it. But in front of others, {his} knees"
        ' began to shake. ["I cannot do it," {he} said.|{His} face turned red, and no word came out.]',
        "/",
        '{day}, there was going to be a big show. {B} said, "You have to be in it, {A}! [I heard you through the window|I know'
        ' how good you are]." "No, no, no," said {A}. "All those eyes!" {B} thought about it. "Then do not look at all those'
        ' eyes," {bhe} said. "Look only at me. I will sit in the first row."',
        "The evening came. {A} stood behind the curtain. {His} heart was beating like a drum. {He} wanted to run away. Then"
        " somebody called {his} name, and the curtain opened. It was very bright, and very quiet.",
        "/",
        "{A} looked for {B}. There {bhe} was, in the first row, with a big smile and [a funny hat|two thumbs up]. {A} took a deep"
        " breath. {He} looked only at {B}, and then {he} began. At first, it was soft. Then it got better and better. {A} forgot"
        " all about {his} knees.",
        'When it was over, nobody made a sound. Then everyone clapped and shouted, "More, more!" {A} bowed. "You did it!" said'
        ' {B}. "Were you still afraid?" "Yes," said {A}. "But you can be afraid and do it anyway."',
    )


def boat(r):
    v = cast(r, a=r.choice(["child", ["duck", "mouse", "frog", "otter", "cat", "beaver"]]))
    v["isle"] = r.choice(
        [
            "a small island with one tall tree",
            "a green island full of birds",
            "an island with white sand",
            "an island with a big cave",
        ]
    )
    v["found"] = r.choice(
        [
            "a box full of shells",
            "a friendly old turtle",
            "a bottle with a letter in it",
            "the sweetest {yummy} in the world",
            "a lost baby seal",
        ]
    )
    v["about"] = f"a {v['Ak']} who goes on a trip in a boat"
    return v, say(
        r,
        v,
        intro(r, v),
        "{A} had a little {color} boat. [It was not big, but it was strong.|{He} had built it all by {self}.] {day}, {A} said to"
        ' {his} friend {B}, "Let us sail across the [lake|water] and see what is there."',
        "/",
        "They packed {yummy} and [a bottle of water|a map|a warm blanket]. The wind was good, and the boat went [fast|up and"
        ' down, up and down]. ["This is fun!" said {B}.|A fish jumped out of the water to say hello.] After a while, they came to'
        " {isle}.",
        'They walked all around it. And what did they find? They found {found}! [They could not believe it.|"Wow!" they both'
        " said.]",
        "/",
        'Then the sky turned gray. The wind blew hard, and [big waves came|it began to rain]. "[We must go home|I am scared],"'
        ' said {B}. "[Hold on|Do not be afraid]," said {A}. "[We will do it together|I will steer and you can watch the waves]."'
        " {A} held the [wheel|rope] with all {his} strength. {B} [took the water out with a bucket|sang a song so that they would"
        " not be afraid].",
        "At last, they saw [the light of home|the shore]. [Everybody was waiting for them.|{A}'s family stood there and waved.]"
        " They were wet and tired, but safe.",
        "/",
        'That night, they sat by the fire with a warm drink and told their story. ["Where shall we go next?" asked {B}. {A} only'
        ' smiled.|"We were brave," said {A}. "And we were brave together," said {B}.|And they both fell asleep before the end of'
        " it.]",
    )


def beach(r):
    v = cast(r, a="child", b="child")
    v["about"] = f"a {v['Ak']} who builds a sand castle"
    return v, say(
        r,
        v,
        intro(r, v),
        "{day}, {A} went to the beach with {his} {parent}. The sand was warm, and the sea was [blue|green|full of little waves]."
        ' {A} had a {color} bucket. "I will build the biggest castle in the world," {he} said.',
        "/",
        "{A} worked [all morning|for a long time]. The castle had [four|three] towers, a gate, and a wall. On top, {he} put a"
        " [shell|feather|flag]. It was beautiful. But then a big wave came. Whoosh! The castle was gone.",
        '{A} [wanted to cry|was very sad]. "All my work!" {he} said. A {Bk} with a {color2} hat came over. "My castle is gone,'
        ' too," said the {Bk}. "I am {B}. Shall we build a new one together? Over there, [behind the rocks|farther from the'
        ' water], the sea cannot reach it."',
        "/",
        "So they did. {B} brought the water, and {A} made the towers. [They put shells on all the walls.|A little crab moved in"
        " and was the king.] This castle was even bigger. The waves came, but they could not reach it.",
        '"[I am glad that the wave came|It was good that the wave came]," said {A}. "Why?" asked {B}. "Because without the wave,'
        ' I would not have met you." They laughed and [ate ice cream|ran into the water].',
    )


PLOTS = [dark, learn, gotlost, monster, tree, show, boat, beach]
