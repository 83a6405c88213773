"""What can happen in a composed story (compose.py): each arc is about a thing, {obj} in full and {thing} for short, {at} a place.

An arc has: has (whether the thing is there from the start), problem, meeting, turn, summary (a clause), ask and why (a question
about it and its answer), and moral. {B} enters in `meeting`, which a short story leaves out, so `turn` stands without it.
"""

MEET = """[Just then|Then|After a while], {B}, a {bt} {Bk}, came by. "[What is the matter|Can I help you|Why do you look so sad]?" asked {B}. {A} told \
{bhim} [everything|the whole story]."""
TOGETHER = '["Two heads are better than one," said {B}.|"I will help you," said {B}.|"Let us try it together," said {B}.]'

ARCS = [
    dict(
        has=True,
        problem=(
            "{day}, the {thing} was gone. {A} [looked everywhere|turned everything over|searched high and low], but {he} could"
            " not find it."
        ),
        meeting=MEET + " " + TOGETHER + " They searched {at} until [it got dark|their feet hurt|nobody else was left].",
        turn=(
            "[At last|In the end|Then], {B} the {Bk} pointed at something. It was the {thing}! [The wind had carried it away.|It"
            " had been there all the time.|A bird had taken it for its nest.]"
        ),
        summary="lost {his} {obj}, and {B} the {Bk} helped {him} to find it again",
        ask="[Why was {A} sad?|What did {A} lose?]",
        why="{A} lost {his} {thing}, and that made {him} sad.",
        moral="what is lost is found more easily together",
    ),
    dict(
        has=False,
        problem=(
            '{day}, {A} found a {obj} {at}. [{He} had never seen anything like it.|It lay there all alone.] "[Whose is it|Who has'
            ' lost this]?" {he} wondered.'
        ),
        meeting=(
            '{A} [asked everyone {he} met|put up a note on every door|carried it around all day]. [Nobody knew it.|"Not mine,"'
            " everyone said.] Then {he} met {B}, a {bt} {Bk} [with tears in {bhis} eyes|who was looking for something]."
        ),
        turn=(
            '"That is my {thing}!" cried {B} the {Bk}. [{A} would have liked to keep it.|It was hard to give it away.] But {A}'
            ' gave it back. ["You are very honest," said {B}.|"I will never forget this," said {B}.]'
        ),
        summary="found a {obj} and gave it back to {B} the {Bk}, who had lost it",
        ask="[What did {A} find?|What happened to the {thing}?]",
        why="{A} found a {obj} and gave it back to {B}.",
        moral="being honest makes more friends than keeping things",
    ),
    dict(
        has=True,
        problem=(
            "{day}, something terrible happened. {A} [dropped the {thing}|fell over the {thing}|was not careful with the"
            " {thing}], and it broke into [two|three|many] pieces."
        ),
        meeting='["It can never be mended," {A} said.|{A} hid the pieces and cried.] ' + MEET + " " + TOGETHER,
        turn=(
            "{B} the {Bk} knew how to mend things. They [worked all night|worked slowly and carefully], and in the morning the"
            " {thing} was whole again. [It looked even better than before.|You could still see the crack, but {A} liked it that"
            " way.]"
        ),
        summary="broke {his} {obj}, and {B} the {Bk} helped {him} to mend it",
        ask="[What broke?|Why was {A} unhappy?]",
        why="The {thing} broke, and {A} was very unhappy about it.",
        moral="most things can be mended, with time and a friend",
    ),
    dict(
        has=False,
        problem=(
            "More than anything in the world, {A} wanted a {obj}. But {he} had [no money|only one coin]. {He} saw one {at}, and"
            " {he} looked at it every day."
        ),
        meeting=(
            'The {thing} belonged to {B}, a {bt} {Bk}. "[You can have it|I will give it to you]," said {B}, "if you [help me for'
            " a week|carry my water for ten days|sweep my floor until Sunday].\" It was hard work. [{A}'s back hurt every"
            " night.|But {A} did not complain once.]"
        ),
        turn=(
            '[On the last day|When the work was done], {B} the {Bk} smiled. "You have earned it," {bhe} said. And {A} held the'
            " {thing} in {his} own two hands."
        ),
        summary="wanted a {obj} and worked hard for {B} the {Bk} until {he} had earned it",
        ask="[What did {A} want?|Why did {A} work so hard?]",
        why="{A} wanted a {obj} more than anything.",
        moral="what you work for is worth the most",
    ),
    dict(
        has=False,
        problem=(
            "{day}, a {obj} fell out of the sky and landed right in front of {A}. It [began to glow|hummed softly|jumped up and"
            ' down]. "[I grant you one wish|Make a wish]," it whispered.'
        ),
        meeting=(
            "{A} thought about it. [Should {he} wish for gold?|Should {he} wish to fly?] Then {he} saw {B}, a {bt} {Bk}, who [had"
            " hurt {bhis} foot|was hungry and cold|had nobody to play with]."
        ),
        turn=(
            '"I wish that {B} the {Bk} will be well and happy," said {A}. The {thing} [flashed|rang like a bell], and it was so!'
            " [{B} laughed out loud.|{B} could not believe it.]"
        ),
        summary="found a {obj} that granted a wish, and {he} used it for {B} the {Bk}",
        ask="[What did {A} wish for?|What could the {thing} do?]",
        why="The {thing} granted a wish, and {A} wished that {B} would be well and happy.",
        moral="the best wish is one for somebody else",
    ),
    dict(
        has=True,
        problem=(
            '{day}, a letter came for {A}. "[Please bring the {thing} to me|I need the {thing}]," it said. "It is important. Your'
            ' friend, {B} the {Bk}." But {B} lived far, far away. So {A} packed {his} bag and set out.'
        ),
        meeting=(
            "[It was a long way.|The road went up and down.] [It rained for three days.|A river was in the way, and {he} had to"
            " swim.|A storm blew {his} hat away.] {A} was [tired|cold and hungry], but {he} held the {thing} tight."
        ),
        turn=(
            '[At last|After seven days], {A} knocked at a small door. {B} the {Bk} opened. "You came!" {bhe} said. {B} needed the'
            " {thing} [to make a sick child smile|to win back {bhis} home|for {bhis} grandmother's birthday], and thanks to {A}"
            " it was not too late."
        ),
        summary="carried a {obj} all the way to {B} the {Bk}, who needed it",
        ask="[Why did {A} go on a journey?|Who needed the {thing}?]",
        why="{A} went on a journey because {B} needed the {thing}.",
        moral="a friend is worth a long way",
    ),
    dict(
        has=True,
        problem=(
            "{day}, there was a contest {at}. Whoever had the finest {thing} would win a golden cup. {A} [polished|cleaned] {his}"
            " {thing} until it shone. But {B}, a {bt} {Bk}, had one, too, and it was [bigger|much newer]."
        ),
        meeting=(
            '["You cannot win," said {B}.|"Mine is better," said {B}.] {A} felt [small|sad], but {he} did not go home. Then,'
            " [with a loud crack|just before it began], {B}'s {thing} fell into the mud. [{B} began to cry.|Nobody helped"
            " {bhim}.]"
        ),
        turn=(
            "{A} went over to {B} the {Bk} and helped {bhim} to clean it. When the judges saw that, they gave the golden cup to"
            ' [both of them|{A}]. "[It is not about the {thing}|A kind heart is the finest thing of all]," they said.'
        ),
        summary="took part in a contest with {his} {obj}, and won by being kind to {B} the {Bk}",
        ask="[What did {A} win?|Why did {A} win?]",
        why="{A} won a golden cup because {he} was kind to {B}.",
        moral="it is better to be kind than to be first",
    ),
    dict(
        has=False,
        problem=(
            '{day}, {A} looked inside an old {obj}. There was a [note|map] in it! "[Walk a hundred steps and dig|Follow the'
            " stars|Look under the biggest stone],\" it said. {A}'s heart beat fast."
        ),
        meeting=(
            "{A} did not want to go alone, so {he} asked {B}, a {bt} {Bk}. They went {at}, [step by step|hand in hand|with a lamp"
            ' in the dark]. ["Are you afraid?" asked {B}. "A little," said {A}.|Once they took the wrong way and had to go back.]'
        ),
        turn=(
            "And there it was: [a box full of old photos|a chest full of toys|a cave full of crystals]! {A} and {B} the {Bk}"
            " [shared it with everybody|shared it like brothers and sisters]. [They kept the {thing} to remember the day.|]"
        ),
        summary="found a message in a {obj} and went on a treasure hunt with {B} the {Bk}",
        ask="[What was in the {thing}?|What did {A} find in the {thing}?]",
        why="There was a message in the {thing}, and it led to a treasure.",
        moral="the best part of a treasure is the friend who looks for it with you",
    ),
    dict(
        has=True,
        problem=(
            "{day}, {A} heard somebody cry for help {at}. It was {B}, a {bt} {Bk}. {bHe} [had fallen into a deep hole|was stuck"
            ' and could not move|could not get down again]. "Please, help me!" called {B}.'
        ),
        meeting=(
            "{A} [pulled with all {his} might|ran to get help], but [it was no use|there was nobody around]. {He} sat down and"
            ' thought. Then {he} looked at {his} {thing}. "I have an idea!" {he} said.'
        ),
        turn=(
            "{A} used the {thing} [in a way that nobody had ever thought of|very cleverly], and slowly, slowly, {B} the {Bk} was"
            ' free. ["You saved me!" said {B}.|{B} hugged {A} for a long time.]'
        ),
        summary="saved {B} the {Bk} with the help of a {obj}",
        ask="[How did {A} save {B}?|Who was in trouble?]",
        why="{B} was in trouble, and {A} saved {bhim} with the {thing}.",
        moral="a good idea is stronger than a strong arm",
    ),
    dict(
        has=False,
        problem=(
            "{day}, a [huge|giant] {obj} stood {at}. It was so big that nobody could get past it. {A} pushed, but it did not move"
            ' at all. "[It is too heavy|I am not strong enough]," {he} said.'
        ),
        meeting=(
            "{B}, a {bt} {Bk}, came and pushed, too. [It still did not move.|It moved a tiny bit.] So they called [all their"
            ' neighbors|everybody they knew]. "[One, two, three|All together now]!" shouted {A}.'
        ),
        turn=(
            '[With a loud noise|Slowly], the {thing} rolled away. [Everybody cheered.|The way was free.] "[Alone I could not have'
            ' done it|That was teamwork]," said {A} to {B} the {Bk}.'
        ),
        summary="could not move a huge {obj} alone, but together with {B} the {Bk} and the others {he} could",
        ask="[What was in the way?|How did they move the {thing}?]",
        why="The {thing} was in the way, and they moved it by pushing all together.",
        moral="together we are strong",
    ),
    dict(
        has=True,
        problem=(
            "{day}, [a big storm|a long dark night|a cold fog] came over {place}. [The lights went out.|Nobody could see a"
            " thing.] Everyone was afraid, and {A} was afraid, too. {He} held {his} {thing} close."
        ),
        meeting=(
            'Then {he} heard a small voice. It was {B}, a {bt} {Bk}, who was lost. "[I cannot find my way home|I am so cold],"'
            ' said {B}. {A} [swallowed hard|took a deep breath]. "Come with me," {he} said. "I know what to do with my {thing}."'
        ),
        turn=(
            "With the {thing} in front of them, {A} and {B} the {Bk} walked on, step by step, until [the sky cleared|morning"
            ' came|they saw a warm light]. ["You were so brave," said {B}.|And suddenly {A} was not afraid anymore.]'
        ),
        summary="was brave in the dark and led {B} the {Bk} home with {his} {obj}",
        ask="[Why was everyone afraid?|Where did {A} lead {B}?]",
        why="It was dark and everyone was afraid, but {A} led {B} home.",
        moral="being brave means to go on even when you are afraid",
    ),
    dict(
        has=False,
        problem=(
            'Every night, there was a strange noise {at}. [Knock, knock, knock.|Whoo, whoo.|Scratch, scratch.] "[It is a ghost|It'
            ' is a monster]," people said. But {A} wanted to know. So {he} stayed awake and followed the sound.'
        ),
        meeting=(
            '[In the dark|Behind a corner], {A} saw two bright eyes. It was only {B}, a {bt} {Bk}, with a {obj}. "I am sorry,"'
            ' said {B}. "I [practice at night, because people laugh at me|cannot sleep, and it keeps me company]."'
        ),
        turn=(
            '"[But that sounds wonderful|Do not hide]," said {A}. The next day, {B} the {Bk} showed everyone the {obj}. [Nobody'
            " was afraid anymore.|People came from far away to see it.] And nobody laughed."
        ),
        summary="followed a strange noise and found {B} the {Bk} with a {obj}",
        ask="[What made the noise?|Where did the noise come from?]",
        why="{B} made the noise with a {thing}.",
        moral="what we are afraid of is often just somebody who is shy",
    ),
    dict(
        has=True,
        problem=(
            'Everybody laughed at {A}\'s {thing}. "[How ugly it is|What is it good for]?" they said. {A} [hid it under {his}'
            " coat|did not show it to anybody anymore]."
        ),
        meeting=(
            'Only {B}, a {bt} {Bk}, did not laugh. "[I like it|It is special]," said {B}. "[May I see it|Show me what it can'
            ' do]?" {A} showed {bhim}, and for the first time {he} was a little proud.'
        ),
        turn=(
            "{day2}, [the well ran dry|the big gate would not open|the king came to visit], and nobody knew what to do. Nobody"
            ' but {A}! The {thing} was just what they needed. "I knew it," said {B} the {Bk}. Nobody laughed again.'
        ),
        summary="had a {obj} that everybody laughed at, except {B} the {Bk}, until it saved the day",
        ask="[Why did everybody laugh?|Who did not laugh?]",
        why="Everybody laughed at the {thing}, but {B} did not.",
        moral="do not laugh at what you do not understand",
    ),
    dict(
        has=True,
        problem=(
            '{day}, {A} and {his} neighbor {B}, a {bt} {Bk}, had a fight about the {thing}. "It is mine!" said {A}. "No, mine!"'
            " said {B}. They pulled and pulled, and then they did not talk to each other for [a week|three days]."
        ),
        meeting=(
            "It was very quiet {at}. {A} looked at the {thing}. [It was no fun alone.|It did not make {him} happy.] {He} thought"
            " of {B}, and {he} missed {bhim}."
        ),
        turn=(
            'So {A} took the {thing} and knocked at the door of {B} the {Bk}. "I am sorry," said {A}. "I am sorry, too," said'
            " {B}. From then on, the {thing} belonged to both of them."
        ),
        summary="had a fight with {B} the {Bk} about a {obj}, and then they made up and shared it",
        ask="[What was the fight about?|Why did {A} and {B} not talk?]",
        why="They had a fight about the {thing}.",
        moral="a friend is worth more than being right",
    ),
]

OPENINGS = [
    "Once upon a time, there was a {t} {Ak} named {A}. {A} lived {at}.",
    "{At}, there lived a {t} {Ak} named {A}.",
    "It was very quiet {at}. Only one was still awake. That was {A}, a {t} {Ak}.",
    "{A} was a {t} {Ak}. {His} home was {at}.",
    '"Hello?" called {A}. Nobody answered. {A} was a {t} {Ak}, and {he} was all alone {at}.',
    "Nobody {at} was like {A}. {A} was a {t} {Ak}[, and everyone knew it|].",
    "The day began like any other {at}. The sun came up, and {A}, a {t} {Ak}, [rubbed {his} eyes|yawned].",
    "Once there was a {Ak} who was very {t}. {His} name was {A}, and {he} lived {at}.",
    "This is the story of {A}, a {t} {Ak} {at}.",
    "Long ago, there was a {t} {Ak} called {A}. You could find {him} {at}.",
    "Do you know {A}? {A} is a {t} {Ak}, and this happened to {him} {at}.",
]
HAS = [
    (
        "{A} had a {obj}. [{He} took it everywhere.|It was {his} favorite thing in the world.|{His} grandmother had given it to"
        " {him}.|]"
    ),
    "{His} greatest treasure was a {obj}.",
    "Next to {him} lay a {obj}.",
    "{He} was never seen without {his} {obj}.",
]
# A long story has one or two of these more.
ENCOUNTERS = [
    (
        'On the way, {he} met [an old woman|an old man] with a heavy basket. {A} carried it for a while. "[Kindness comes'
        ' back|You have a good heart]," was the thanks.'
    ),
    "It began to rain. {A} found a dry spot and waited. {He} [counted the drops|sang a song] until the sun came back.",
    "{A} was hungry. {He} ate some {yummy} and felt much better.",
    'A little {color} bird flew over {his} head and sang. It seemed to say, "Do not give up."',
    "Then {he} had to choose: left or right? {A} closed {his} eyes, listened, and went left.",
    "[Night fell.|It got dark.] {A} looked up at the stars and made a plan for the next day.",
]
ENDINGS = {
    "happy": [
        "{A} and {B} [danced all evening|laughed until their bellies hurt], and they lived happily ever after.",
        "{A} was the happiest {Ak} in the world.",
        "From that day on, {A} and {B} were the best of friends.",
        "Everybody was happy, and the sun was shining.",
    ],
    "sad": [
        "But the next day, {B} had to leave. {A} waved until {he} could not see {bhim} anymore, and a tear ran down {his} cheek.",
        "But in the winter, {B} went away and never came back. {A} still thinks of {bhim} every night, and then {he} is sad.",
        "And yet {A} cried that night, because {he} knew that the good days were over.",
    ],
    "funny": [
        "Then {A} turned around, slipped, and sat down right in a big cake. Everyone laughed, and {A} laughed the loudest.",
        "And then {A} sneezed so hard that {his} hat flew off and landed on {B}. They could not stop laughing.",
        "That night they found out that {A} had worn {his} shoes on the wrong feet all day. How they laughed!",
    ],
    "surprising": [
        'And then the {thing} opened its mouth and spoke. "Well done," it said. Nobody had expected that.',
        (
            "But when {A} turned around, {B} was gone. Where {bhe} had stood, there lay a small golden feather. Who had {bhe}"
            " really been?"
        ),
        "And then {A} woke up. It had all been a dream. But what was that on the pillow? It was the {thing}!",
    ],
    "party": [
        "In the evening, there was a big party {at}, with music and {yummy} for everyone.",
        "They had a party {at} that lasted for three days.",
    ],
    "quiet": [
        "Then {A} lay down, closed {his} eyes, and fell asleep. Good night.",
        "The moon came up, and it was quiet {at}. {A} smiled and slept.",
        "And so the day came to an end.",
    ],
}
