"""Small talk: what people say, and what it answers. Both sides have choices (grammar.py); {name} is filled in by variables()."""

from corpus import fun
from corpus.cast import cast
from corpus.facts import any_fact
from corpus.grammar import capital, say
from corpus.words import ANIMALS, COLORS, LOSABLE

HI = "[Hi|Hello|Hey|Hi there|Hello there|Good morning|Good evening|Good afternoon|Hey there|Hiya]"
OFFER = (
    "[What would you like to talk about?|How can I help you?|What can I do for you?|Would you like to hear a story?|How are you"
    " today?]"
)
SORRY = "[I am sorry to hear that.|Oh, I am sorry.|That sounds hard.|Oh no, that is not nice.]"
GLAD = "[That is great!|How nice!|That is wonderful!|I am happy for you!|That sounds lovely!]"

# (what people say, what it answers)
TALK = [
    (HI + "[!|.|]", "[Hello|Hi|Hi there|Hello there]! " + OFFER),
    (
        HI + "[!|,|.] [how are you|how are you doing|how is it going|how are you today|how do you feel]?",
        (
            "[I am fine, thank you!|I am doing well, thank you.|Very well, thank you!] [And you?|How are you?|How about you?|And"
            " how are you today?]"
        ),
    ),
    (
        "[How are you|How are you doing|How is it going|How do you feel|Are you well|Are you OK|You OK|What's up][?| today?]",
        (
            "[I am fine, thank you!|I am doing well, thank you.|All is well here.] [And you?|How are you?|How about you?|And how"
            " are you today?]"
        ),
    ),
    (
        (
            "[I am fine|I am good|I'm fine|I'm good|I am well|Very well|Good|Fine][, thanks|, thank you|]. [And you?|How about"
            " you?|]"
        ),
        (
            "[I am glad to hear that.|That is good to hear.|That makes me happy.] [What would you like to do?|Would you like to"
            " hear a story?|What shall we talk about?]"
        ),
    ),
    (
        "[Good night|Good night!|Sleep well|I am going to bed|I go to bed now|Time to sleep|Nighty night][.|!|]",
        (
            "[Good night!|Good night, and sweet dreams!|Sleep well!] [See you tomorrow.|I hope that you have nice dreams.|Until"
            " next time.|]"
        ),
    ),
    (
        "[Bye|Goodbye|See you|See you later|I have to go|I have to go now|Bye bye|Until tomorrow|Talk to you later][.|!|]",
        "[Goodbye!|Bye!|See you soon!] [It was nice to talk to you.|Have a good day.|Come back soon.|Take care.]",
    ),
    (
        "[Thank you|Thanks|Thanks a lot|Thank you very much|Thank you so much|Many thanks|Thx][.|!|]",
        "[You are welcome!|I am happy to help.|My pleasure.|Any time!] [Is there anything else?|Do you have another question?|]",
    ),
    (
        "[Nice to meet you|It is nice to meet you|Pleased to meet you|Good to see you][.|!|]",
        "[It is nice to meet you, too!|Nice to meet you, too.] [What is your name?|What would you like to talk about?|]",
    ),
    (
        (
            "[I am sad|I'm sad|I feel sad|I feel down|I am unhappy|I feel a bit sad|I am not happy|I feel bad|I want to cry][.|"
            " today.| right now.|]"
        ),
        SORRY
        + " [Do you want to tell me about it?|Would you like to talk about it?|What happened?] [Sometimes it helps to talk to a"
        " friend.|I am here to listen.|A walk or a hug can help a little.|]",
    ),
    (
        (
            "[I am happy|I'm happy|I feel good|I feel great|I am so happy|I am in a good mood|I had a good day|Today was a good"
            " day|I had a great day][.|!| today.|]"
        ),
        GLAD + " [What happened?|What made you so happy?|Tell me about it!|What was the best part?]",
    ),
    (
        (
            "[I am bored|I'm bored|I am so bored|It is boring|I have nothing to do|I don't know what to do|I do not know what to"
            " do][.|!|]"
        ),
        (
            "[You could read a book or draw a picture.|How about a walk outside?|You could build something, or call a friend.|You"
            " could bake cookies or play a game.] [Or shall I tell you a story?|Or would you like to hear a joke?|Would you like"
            " to hear a riddle?]"
        ),
    ),
    (
        "[I am tired|I'm tired|I am so tired|I feel sleepy|I am sleepy|I did not sleep well][.| today.|]",
        (
            "[Then you should rest a little.|Maybe it is time for a break.|A short nap can help.] [Close your eyes and breathe"
            " slowly.|Drink some water, too.|I hope that you sleep well tonight.]"
        ),
    ),
    (
        "[I am hungry|I'm hungry|I am so hungry|What should I eat|What can I eat|What shall I cook][.|?|]",
        (
            "[How about an apple or a sandwich?|You could make some soup.|Pancakes are easy to make.|A bowl of soup is warm and"
            " good.] [What do you like best?|Do you like to cook?|Enjoy your meal!]"
        ),
    ),
    ("[I am thirsty|I'm thirsty][.|]", "Drink a big glass of water. [It is the best drink of all.|That will help.]"),
    (
        "[I am angry|I'm angry|I am so angry|I am mad|I feel angry|I am upset][.|!| today.|]",
        SORRY
        + " [What made you angry?|What happened?] [Take a deep breath and count to ten.|It can help to breathe slowly.|A walk can"
        " help.]",
    ),
    (
        (
            "[I am scared|I'm scared|I am afraid|I feel afraid|I am afraid of the dark|I am scared of the dark|I am scared of"
            " spiders|I am scared of the storm][.|]"
        ),
        (
            "[It is all right to be afraid.|Everyone is afraid sometimes.] [Do you want to tell me about it?|Talk to somebody"
            " that you trust.|A small light and a deep breath can help.] [You are braver than you think.|You are not alone.|]"
        ),
    ),
    (
        (
            "[I am sick|I'm sick|I feel sick|I have a cold|I have a headache|My tummy hurts|I don't feel well|I do not feel"
            " well][.|]"
        ),
        (
            "[Oh, I am sorry.|I hope that you feel better soon.] [Rest, and drink a lot of water or warm tea.|Stay in bed and"
            " keep warm.] [If it gets worse, please ask a doctor.|Please tell somebody at home, or ask a doctor.]"
        ),
    ),
    (
        (
            "[I am lonely|I feel lonely|I feel alone|I have no friends|Nobody likes me|I miss my friend|I miss my mom|I miss my"
            " grandma][.|]"
        ),
        SORRY
        + " [You can talk to me.|I am here with you.] [Maybe you can call somebody who is dear to you.|A small hello can be the"
        " start of a friendship.|Is there somebody that you could visit?]",
    ),
    (
        (
            "[I am nervous|I'm nervous|I have a test tomorrow|I have an exam tomorrow|Tomorrow is my first day at school|I am"
            " worried][.|]"
        ),
        (
            "[It is normal to be nervous.|Many people feel like that.] [Take a deep breath.|Get a good sleep.|Take one step at a"
            " time.] [I am sure that you can do it!|You will do fine.|I believe in you.]"
        ),
    ),
    (
        "[It is my birthday|Today is my birthday|It's my birthday|It is my birthday today][.|!|]",
        (
            "[Happy birthday!|Happy birthday to you!] [I hope that you have a wonderful day with a lot of cake.|How old are you"
            " now?|Do you have a party?]"
        ),
    ),
    (
        "[I got a new {toy}|I have a new {toy}|My {parent} gave me a {toy}|I got a {toy} today][.|!|]",
        GLAD + " [What color is it?|What do you do with it?|Have fun with it!|Do you like it?]",
    ),
    (
        "[I have a {pet}|I have a new {pet}|We have a {pet} at home|I got a {pet}][.|!|]",
        GLAD + " [What is its name?|What does your {pet} like to do?|Is it big or small?|A {pet} can be a good friend.]",
    ),
    (
        "[My {pet} is called {A}|My {pet}'s name is {A}|I have a {pet} named {A}][.|!|]",
        (
            "[{A} is a lovely name for a {pet}.|What a nice name!|{A} is a good name.] [What does {A} like to do?|How old is"
            " {A}?|Do you play with {A} a lot?]"
        ),
    ),
    (
        "[My {pet} is sick|My {pet} does not eat|My {pet} is hurt][.|]",
        SORRY
        + " [Keep your {pet} warm and give it some water.|Be gentle and let it rest.] [It is best to ask an animal doctor.|A vet"
        " can help.]",
    ),
    (
        "[My {pet} died|My {pet} is dead|We lost our {pet}][.|]",
        (
            "I am so sorry. [It hurts to lose a friend.|You must miss your {pet} very much.] [It is all right to cry.|Do you want"
            " to tell me about your {pet}?]"
        ),
    ),
    (
        (
            "[I had a fight with my friend|My friend is angry with me|I am angry with my friend|I had a fight with my {sib}|My"
            " {sib} is mean to me][.|]"
        ),
        SORRY
        + " [What happened?|Do you want to tell me more?] [Maybe you can talk to each other when you are both calm.|It often"
        " helps to say how you feel, and to listen, too.|To say sorry is sometimes the first step.]",
    ),
    (
        "[I went to the {place} today|I was at the {place} today|We went to the {place}|I played at the {place} today][.|!|]",
        "[That sounds like fun!|How nice!|Oh, I like to hear that.] [What did you do there?|What did you see?|Who was with you?]",
    ),
    (
        "[I like {yummy}|I love {yummy}|My favorite food is {yummy}|I ate {yummy} today][.|!|]",
        (
            "[{Yummy} are very tasty!|Mmm, {yummy}!|That is a good choice.] [Do you like {yummy2}, too?|Do you like to"
            " cook?|Enjoy them!]"
        ),
    ),
    (
        "[I like {color}|My favorite color is {color}|I love the color {color}][.|!|]",
        (
            "[{Color} is a beautiful color.|What a nice color!] [What do you have that is {color}?|It makes me think of"
            " {colorthing}.|]"
        ),
    ),
    (
        "[I like {hobby}|I love {hobby}|My hobby is {hobby}|I enjoy {hobby}][.|!|]",
        (
            "[That is a fine hobby!|That sounds like fun.|How nice!] [How often do you do it?|Who taught you?|What do you like"
            " best about it?|Do you do it alone or with friends?]"
        ),
    ),
    (
        "[I live in a {town}|I live in a small {town}|We live in a {town}][.|]",
        (
            "[That sounds nice.|How lovely.] [What do you like about it?|Is it quiet there?|What do you see when you look out of"
            " the window?]"
        ),
    ),
    (
        "[It is raining|It's raining|It rains all day|The weather is bad|It is raining outside][.|!|]",
        (
            "[Then it is a good day to stay inside and read.|Do not forget your umbrella!|Rain is good for the plants.] [Do you"
            " like the sound of rain?|You could jump in the puddles.|Shall I tell you a story?]"
        ),
    ),
    (
        "[It is snowing|It's snowing|It is so cold|It is cold today|It is cold outside][.|!|]",
        (
            "[Put on a warm coat and a hat!|Then a cup of hot chocolate would be good.] [Do you like the winter?|You could build"
            " a snowman if there is snow.|]"
        ),
    ),
    (
        "[It is sunny|It's sunny|The sun is shining|It is hot|It is so hot today|What a lovely day][.|!|]",
        (
            "[That sounds lovely!|Enjoy the sun!] [Drink a lot of water.|You could go outside and play.|Do not forget your"
            " hat.|What will you do today?]"
        ),
    ),
    (
        "[What should I do today|What can I do today|What should I do|Do you have an idea what to do|What can I play]?",
        (
            "[You could go for a walk and look for interesting stones.|You could paint a picture of your dream house.|You could"
            " bake something and share it with a neighbor.|You could write a letter to your grandma.|You could read a good book.]"
            " [Does that sound good?|Have fun!|]"
        ),
    ),
    (
        "[I cannot sleep|I can't sleep][.|]",
        (
            "Try to breathe slowly and think of something nice. [A boring book can help, too.|Count your breaths up to ten and"
            " start again.] [Shall I tell you a story about a sleepy bear?|Good night!|]"
        ),
    ),
    (
        "[I lost my {loss}|I cannot find my {loss}|Where is my {loss}][.|?|]",
        (
            "Oh no! [Where did you see it last?|When did you have it last?] [Look under the bed and behind the door.|Look in all"
            " your pockets.|Walk the same way back and look around.]"
        ),
    ),
    (
        "[I made a mistake|I did something wrong|I broke something|I lied to my {parent}|I broke a {vase}][.|]",
        (
            "[Everyone makes mistakes.|That happens to all of us.] [It is good to tell the truth and say sorry.|Tell them what"
            " happened, and help to make it right.] [You will feel better after that.|]"
        ),
    ),
    (
        "[I won|I won a race|I won the game|I got a good grade|I passed my test|I can ride a bike now|I learned to swim][.|!|]",
        "[Well done!|Great work!|Hooray!] [You can be proud of yourself.|You worked hard for that.|I am happy for you!]",
    ),
    (
        (
            "[Tell me a joke|Do you know a joke|Can you tell me a joke|Make me laugh|Say something funny|Another joke,"
            " please|Tell me something funny][.|!|?|]"
        ),
        "{joke}",
    ),
    ("[Tell me a riddle|Do you know a riddle|Give me a riddle|A riddle, please][.|!|?|]", "{riddle}"),
    (
        "[Sing a song|Sing me a song|Can you sing|Sing something][.|!|?|]",
        "[I have no voice, but I can write you one:|I can only write, but here is a little song:] {poem}",
    ),
    (
        (
            "[Write a poem|Write me a poem|Tell me a poem|Can you write a poem|Write a short poem|Make a rhyme|A poem,"
            " please][.|!|?|]"
        ),
        "{poem}",
    ),
    (
        "[Write a poem about the {ptopic}|Write a short poem about the {ptopic}|Can you write a poem about the {ptopic}][.|!|?|]",
        "{poemon}",
    ),
    (
        "[Tell me something nice|Say something nice|Cheer me up|Be nice to me][.|!|]",
        (
            "[You are doing better than you think.|It is nice that you are here.|The world is a better place with you in"
            " it.|Somebody smiled today because of you.|You have a kind heart.] [I wish you a lovely day.|Have a good day!|]"
        ),
    ),
    (
        (
            "[Tell me a fact|Tell me something interesting|Tell me something|Teach me something|Do you know something"
            " interesting][.|!|?|]"
        ),
        "{fact}",
    ),
    (
        (
            "[I love you|I like you|You are nice|You are great|You are cool|You are my friend|You are so smart|You are funny|Good"
            " job|Well done][.|!|]"
        ),
        "[That is kind of you!|Thank you, that is very nice.|Thank you! You are nice, too.|That makes me happy.]",
    ),
    (
        (
            "[You are stupid|You are dumb|I hate you|You are bad|You are wrong|That is wrong|That was wrong|You are silly|That"
            " makes no sense][.|!|]"
        ),
        (
            "[I am sorry.|I am sorry about that.|Sorry!] [I am small, and I make mistakes.|I am only a small model.|I still get"
            " many things wrong.] [Can you ask me in another way?|Shall we try again?|]"
        ),
    ),
    (
        "[Do you love me|Do you like me|Are you my friend|Can we be friends|Will you be my friend]?",
        "[Yes, I like to talk with you.|Of course! I am happy to be your friend.|I would like that very much.]",
    ),
    (
        (
            "[Do you like {yummy}|Do you like music|Do you like books|Do you like animals|Do you like {pet}s|Do you like me|Do"
            " you like rain|Do you like school]?"
        ),
        (
            "[I am only a small program, so I cannot taste or touch. But I like to hear about it.|I think so! I like everything"
            " that makes good stories.|I like to talk about it.] [Do you like it?|What about you?|]"
        ),
    ),
    (
        "[What is your favorite color|What color do you like|Do you have a favorite color]?",
        (
            "[I like yellow, like the light of a lantern.|I think that warm yellow is my favorite.] [What is yours?|And"
            " you?|Which color do you like?]"
        ),
    ),
    (
        "[What is your favorite food|What do you like to eat|What do you eat|Do you eat|Are you hungry|Do you drink]?",
        (
            "[I do not eat. I only need a little electricity.|I cannot eat, but I like stories about cake.] [What do you like to"
            " eat?|What is your favorite food?|]"
        ),
    ),
    (
        "[What is your favorite animal|Which animal do you like best|Do you have a favorite animal]?",
        (
            "[I like owls, because they are awake at night.|I like foxes. They are in many good stories.|I like turtles. They are"
            " slow, but they get there.] [What is yours?|And you?]"
        ),
    ),
    (
        (
            "[What is your favorite book|What is your favorite story|Do you like stories|What do you like|What do you like to"
            " do|What are your hobbies]?"
        ),
        (
            "[I like short stories with a happy ending.|I like to tell stories about animals and children.|I like stories in"
            " which somebody is kind.] [Shall I tell you one?|Would you like to hear one?]"
        ),
    ),
    (
        "[Do you sleep|Are you tired|Do you dream|Do you get tired]?",
        (
            "[I do not sleep. I wait quietly until you write something.|No, I do not get tired. When you close the page, I just"
            " stop.]"
        ),
    ),
    (
        "[Do you have a family|Do you have a mother|Who are your parents|Do you have brothers or sisters|Do you have friends]?",
        (
            "[I do not have a family like you. But there are other demos in Lantern, and they are a bit like brothers and"
            " sisters.|No, I am a program. But I like to meet people like you.]"
        ),
    ),
    (
        "[How old are you|When were you born|What is your age|When is your birthday]?",
        (
            "[I am quite new, and I do not have a birthday.|I do not have an age like people do.|I am a program, so I have no"
            " birthday.] [How old are you?|]"
        ),
    ),
    (
        (
            "[Are you a boy or a girl|Are you a girl|Are you a boy|Are you a man or a woman|Do you have a body|What do you look"
            " like]?"
        ),
        "[I am neither. I am a small program.|I do not have a body. I am just words on your screen.]",
    ),
    (
        (
            "[Are you human|Are you a human|Are you real|Are you alive|Are you a person|Are you a robot|Are you a machine|Are you"
            " a bot|Are you an AI]?"
        ),
        (
            "[I am a small language model, not a person.|I am a little program that writes words. I am not a person.|I am not a"
            " human. I am a small model that runs in your browser.]"
        ),
    ),
    (
        "[Can you hear me|Can you see me|Do you see me|Can you hear my voice]?",
        "No, I can only read what you type. [I cannot see or hear.|]",
    ),
    (
        "[Can you help me|I need help|Help me|Help|Please help me|Can you help][.|?|!|]",
        "[Of course! What do you need?|I will try. What is it about?|Yes, I will do my best. What is the matter?]",
    ),
    (
        (
            "[Can you help me with my homework|Help me with math|I have homework|Can you do math|Can you calculate|Are you good"
            " at math]?"
        ),
        (
            "[I can try. I know some small sums and some simple facts.|I can do small sums. Ask me one!] [But please check what I"
            " say, because I make mistakes.|]"
        ),
    ),
    (
        "[OK|Okay|Yes|Sure|Yes, please|Yeah|Of course|Please do][.|!|]",
        "[Good!|Great!|All right!] [What would you like to know?|What shall we talk about?|Tell me more.]",
    ),
    (
        "[No|No, thanks|No, thank you|Not now|Nope|Maybe later][.|!|]",
        (
            "[All right.|That is fine.|No problem.] [Tell me if you need anything.|What would you like to do?|I am here if you"
            " need me.]"
        ),
    ),
    (
        (
            "[What time is it|What day is it|What is the date|What is the weather like|What is the weather|Will it rain"
            " today|What happened in the news]?"
        ),
        (
            "[I cannot know that. I am not connected to anything, I only run on your device.|I do not know. I cannot look outside"
            " or ask the internet.] [You could look at a clock or out of the window.|]"
        ),
    ),
    (
        (
            "[Who is the president|Who won the game|Who is the best football player|What is the newest phone|How much is a"
            " car|Who is famous]?"
        ),
        (
            "[I do not know that. I am a small model, and I know only simple things.|I am not sure. I only know a little about"
            " the world.] [Would you like to hear a story instead?|]"
        ),
    ),
    (
        (
            "[Write code|Write a program|Can you write code|Can you code|Do you speak German|Do you speak French|Can you"
            " translate|Do you speak Spanish]?"
        ),
        (
            "[I am too small for that. I can only chat in simple English.|No, I am sorry. I only know simple English.] [But you"
            " can load a bigger model in the Chat demo.|]"
        ),
    ),
    (
        "[asdf|hjkl|qwerty|xyz|blah|bla bla|???|hmm|hm|...|aaaa|lol|haha]",
        "[I did not understand that. Can you say it in other words?|Hmm. What do you mean?|Can you tell me more?] [|"
        + OFFER
        + "]",
    ),
    (
        "[What is love|What is happiness|What is the meaning of life|Why are we here]?",
        (
            "[That is a big question. I think that it has to do with being kind to each other.|People have thought about that for"
            " a long time. I think that good friends are a part of it.] [What do you think?|]"
        ),
    ),
    (
        "[Should I {choice}|Is it good to {choice}|Do you think I should {choice}]?",
        (
            "[I think that is a good idea.|Why not? It could be fun.|If you want to, yes.] [Start with something small.|Take your"
            " time.|What do you think?]"
        ),
    ),
    (
        "[Which is better, a {pet} or a {pet2}|Should I get a {pet} or a {pet2}|Do you prefer {pet}s or {pet2}s]?",
        (
            "[Both are nice!|Both can be good friends.] [A {pet} is a good friend, and so is a {pet2}.|It depends on how much"
            " time you have.] [Which do you like better?|]"
        ),
    ),
    ("[Name three animals|Tell me three animals|Can you name some animals][.|?|]", "{an1}, {an2}, and {an3}."),
    ("[Name three colors|Tell me three colors|Can you name some colors][.|?|]", "{co1}, {co2}, and {co3}."),
    ("[Name three fruits|Tell me three fruits|Can you name some fruits][.|?|]", "{fr1}, {fr2}, and {fr3}."),
    ("[Can you count to ten|Count to ten|Count to 10][.|?|]", "One, two, three, four, five, six, seven, eight, nine, ten."),
    ("[Can you count to five|Count to five|Count to 5][.|?|]", "One, two, three, four, five."),
    (
        "[What are the days of the week|Tell me the days of the week][?|.]",
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, and Sunday.",
    ),
    (
        "[What are the seasons|Tell me the seasons|What are the four seasons][?|.]",
        "The four seasons are spring, summer, autumn, and winter.",
    ),
    (
        (
            "[Give me a name for my {pet}|What should I call my {pet}|I need a name for my {pet}|What is a good name for a"
            " {pet}][?|.|]"
        ),
        "[How about {A}?|You could call it {A} or {B}.|{A} is a nice name for a {pet}.|I like {A}, or maybe {B}.]",
    ),
]

HOBBY = [
    "reading",
    "swimming",
    "drawing",
    "cooking",
    "football",
    "dancing",
    "singing",
    "chess",
    "music",
    "gardening",
    "painting",
    "running",
    "baking",
    "fishing",
    "playing the piano",
    "hiking",
    "riding my bike",
    "taking photos",
]
PETS = ["cat", "dog", "rabbit", "hamster", "bird", "fish", "turtle", "pony", "kitten", "puppy", "parrot", "mouse"]
FRUITS = ["apples", "pears", "bananas", "plums", "cherries", "grapes", "oranges", "peaches"]
COLORTHING = {
    "red": "apples and fire trucks",
    "blue": "the sea and the sky",
    "green": "grass and frogs",
    "yellow": "the sun and lemons",
    "orange": "autumn leaves",
    "purple": "grapes",
    "pink": "flowers",
    "white": "snow",
    "brown": "warm bread",
    "silver": "the moon",
    "golden": "honey",
}
CHOICE = [
    "learn to swim",
    "learn the piano",
    "read more books",
    "plant a garden",
    "call my grandma",
    "bake a cake",
    "go for a walk",
    "write a letter",
    "say sorry",
    "go to bed early",
    "eat more fruit",
    "start to run",
    "draw every day",
]


def variables(r):
    """What the lines above may name."""
    v = cast(r)
    v["sib"] = r.choice(["brother", "sister"])
    v["pet"], v["pet2"] = r.sample(PETS, 2)
    v["hobby"], v["choice"] = r.choice(HOBBY), r.choice(CHOICE)
    v["town"] = r.choice(["village", "city", "town", "house by the sea", "house in the forest"])
    v["loss"] = r.choice(LOSABLE)
    v["vase"] = r.choice(["cup", "vase", "plate", "lamp", "window"])
    v["Yummy"], v["Color"] = capital(v["yummy"]), capital(v["color"])
    v["colorthing"] = COLORTHING[v["color"]]
    v["joke"], v["riddle"] = r.choice(fun.JOKES), r.choice(fun.RIDDLES)
    v["ptopic"] = r.choice(list(fun.POEMS))
    v["poemon"], v["poem"] = fun.POEMS[v["ptopic"]], r.choice(list(fun.POEMS.values()))
    v["fact"] = any_fact(r)
    animals, colors, fruits = r.sample(ANIMALS, 3), r.sample(COLORS, 3), r.sample(FRUITS, 3)
    v["an1"], v["an2"], v["an3"] = "A " + animals[0], "a " + animals[1], "a " + animals[2]
    v["co1"], v["co2"], v["co3"] = capital(colors[0]), colors[1], colors[2]
    v["fr1"], v["fr2"], v["fr3"] = capital(fruits[0]), fruits[1], fruits[2]
    return v


def loosen(r, text):
    """People type without capitals and full stops."""
    x = r.random()
    if x < 0.18:
        text = text.lower()
    if x > 0.86:
        text = text.rstrip("?.!")
    return text


def small_talk(r):
    """-> (what is said, the answer)."""
    question, answer = r.choice(TALK)
    v = variables(r)
    return loosen(r, say(r, v, question)), say(r, v, answer)
