"""Small facts. THINGS: noun|what it is, sentences split by ' / '. QA: question|answer. Simple, and true as far as they go."""

from corpus.grammar import capital, say

THINGS = """
cat|a small pet with soft fur. / Cats like to sleep, play, and hunt mice. / They purr when they are happy.
dog|a friendly pet. / Dogs can bark, run, and learn tricks. / They are very loyal to their people.
cow|a big farm animal that eats grass. / Cows give us milk.
horse|a big, strong animal that can run fast. / People ride on horses. / Horses eat grass and hay.
bee|a small insect with wings. / Bees fly from flower to flower and make honey.
spider|a small animal with eight legs. / Many spiders make webs to catch flies.
bird|an animal with wings and feathers. / Most birds can fly. / They lay eggs and build nests.
fish|an animal that lives in water. / Fish breathe with gills and swim with fins.
frog|a small animal that can live in water and on land. / Frogs have long legs and can jump far.
elephant|the biggest animal on land. / Elephants have a long trunk and big ears. / They eat plants.
lion|a big wild cat. / Lions live in groups and can roar very loud.
tiger|a big wild cat with orange fur and black stripes. / Tigers are very good hunters.
bear|a big animal with thick fur. / Many bears sleep in the winter. / They eat fish, berries, and honey.
wolf|a wild animal that looks like a big dog. / Wolves live in groups called packs.
rabbit|a small animal with long ears. / Rabbits can hop fast. / They eat grass and other plants.
mouse|a very small animal with a long tail. / Mice eat seeds and grain.
owl|a bird that is awake at night. / Owls can see and hear very well in the dark.
penguin|a bird that cannot fly, but it can swim very well. / Penguins live where it is cold.
whale|a very big animal that lives in the sea. / Whales must come up to breathe air. / The blue whale is the biggest animal of all.
dolphin|a smart animal that lives in the sea. / Dolphins like to jump and play. / They breathe air.
shark|a big fish with many sharp teeth. / Sharks live in the sea and have been there for a very long time.
snake|a long animal with no legs. / Snakes move on their belly. / Some of them have poison.
butterfly|an insect with big colorful wings. / A butterfly starts its life as a caterpillar.
ant|a tiny insect that is very strong. / Ants live together in big groups and share the work.
monkey|a clever animal with long arms. / Monkeys climb trees and like to eat fruit.
giraffe|the tallest animal in the world. / Giraffes have a very long neck and eat leaves from high trees.
zebra|an animal that looks like a horse with black and white stripes. / Zebras live in Africa.
kangaroo|an animal that hops on strong back legs. / The mother carries her baby in a pouch.
turtle|an animal with a hard shell. / Turtles are slow on land and can live for a very long time.
chicken|a bird that lives on a farm. / Chickens lay eggs.
pig|a clever farm animal. / Pigs like to roll in the mud to stay cool.
sheep|a farm animal with thick wool. / We make warm clothes out of the wool.
duck|a bird that can swim. / Ducks have wide feet and a flat beak.
bat|a small animal that can fly. / Bats sleep in the day and hang upside down.
dinosaur|an animal that lived millions of years ago. / Some dinosaurs were very big. / They are all gone now, but birds are their family.
octopus|a sea animal with eight arms. / It is very smart and can change its color.
snail|a small, slow animal with a shell on its back. / Snails like wet places.
tree|a big plant with a trunk, branches, and leaves. / Trees give us air, shade, fruit, and wood.
flower|the colorful part of a plant. / Flowers smell sweet so that bees will visit them.
seed|the start of a new plant. / With water, warm earth, and light, it begins to grow.
leaf|the flat green part of a plant. / Leaves use sunlight to make food for the plant.
apple|a round, sweet fruit that grows on trees. / Apples can be red, green, or yellow.
banana|a long yellow fruit. / Bananas are soft, sweet, and good for you.
bread|a food made from flour, water, and salt. / It is baked in an oven.
milk|a white drink that comes from cows, goats, and other animals. / We make cheese and butter from it.
honey|a sweet, golden food that bees make from flowers.
cheese|a food made from milk. / There are many kinds of cheese.
chocolate|a sweet food made from cocoa beans. / The beans grow on trees in warm countries.
sun|a star. / It is very big and very hot. / It gives us light and makes the Earth warm.
moon|a big ball of rock that goes around the Earth. / It shines because the sun shines on it.
star|a very hot ball of gas far away in space. / Our sun is a star, too.
planet|a big round body that goes around a star. / We live on the planet Earth.
Earth|the planet that we live on. / It has land, water, and air. / It goes around the sun once a year.
sky|the air that we see above us. / In the day it looks blue, and at night it is dark with stars.
cloud|made of many tiny drops of water in the air. / When the drops get too heavy, it rains.
rain|water that falls from the clouds. / Plants and animals need it to live.
snow|frozen water that falls from the clouds in winter. / Each snowflake has six sides.
ice|water that is frozen. / Water turns to ice when it gets very cold.
wind|air that moves. / It can be soft like a breath or strong like a storm.
storm|bad weather with strong wind, and often with rain, thunder, and lightning.
lightning|a big electric spark in the sky. / After the flash, we hear thunder.
thunder|the loud sound that lightning makes. / Light is faster than sound, so we see the flash first.
rainbow|a bow of colors in the sky. / It comes when the sun shines through drops of rain.
river|a long stream of water that runs to a lake or to the sea.
sea|a very big body of salt water. / Many fish and other animals live in it.
lake|a big body of water with land all around it.
mountain|very high land, much higher than a hill. / Some mountains have snow on top all year.
volcano|a mountain with an opening on top. / Sometimes hot melted rock comes out of it.
desert|a very dry place where it hardly ever rains. / Many deserts are hot and full of sand.
forest|a place with many trees. / Deer, owls, and foxes live there.
island|a piece of land with water all around it.
fire|what happens when something burns. / It gives light and heat. / Be careful, because it can hurt you.
water|a clear liquid that all living things need. / It falls as rain and fills the rivers and the sea.
air|all around us, but we cannot see it. / We need it to breathe.
winter|the coldest part of the year. / The days are short, and in some places it snows.
summer|the warmest part of the year. / The days are long and sunny.
spring|the time of the year when flowers open and birds build their nests.
autumn|the time of the year when the leaves turn red and yellow and fall from the trees.
house|a building where people live. / It keeps us warm and dry.
school|a place where children go to learn. / There are teachers, books, and friends.
farm|a place where people grow food and keep animals.
city|a place where very many people live and work. / It has tall houses and busy streets.
book|many pages with words or pictures. / Books can tell stories and teach us things.
computer|a machine that works with numbers and words. / You can use it to write, play, and learn.
robot|a machine that can do work by itself. / Some robots build cars, and some clean the floor.
phone|a thing that lets you talk to people far away.
car|a machine with four wheels. / People drive cars to go from place to place.
train|a row of wagons that runs on rails. / Trains can carry many people.
plane|a machine with wings that flies through the air. / It takes people to places far away.
boat|a thing that floats and carries people over the water.
bike|a thing with two wheels and pedals. / You push the pedals with your feet to ride it.
clock|a thing that shows the time. / A day has 24 hours, and an hour has 60 minutes.
map|a drawing that shows where places are.
music|sound that is nice to hear. / People make it with their voice or with instruments.
piano|an instrument with black and white keys. / Each key plays a different note.
drum|an instrument that you hit with sticks or with your hands.
song|words with a tune. / People sing songs when they are happy, and sometimes when they are sad.
game|something that you play for fun. / Most games have rules.
friend|someone who likes you and helps you. / Friends play together and listen to each other.
doctor|a person who helps sick people to get well.
teacher|a person who helps others to learn.
farmer|a person who grows food and takes care of animals.
king|a man who rules a country. / In stories, he often wears a golden crown.
dragon|an animal in old stories. / It has wings and breathes fire. / Dragons are not real.
unicorn|a horse with one horn in old stories. / Unicorns are not real, but many people like them.
ghost|something from scary stories. / Ghosts are not real.
dream|a story that your mind makes while you sleep.
heart|a strong muscle in your chest. / It pumps blood through your body, day and night.
brain|the part of the body that thinks. / It is inside your head.
bone|a hard part inside the body. / Bones hold us up. / A grown-up has about 206 of them.
gravity|the force that pulls things down to the ground. / It also keeps the moon near the Earth.
magnet|a piece of metal that pulls iron to it.
electricity|a kind of energy. / It makes lamps shine and machines run.
number|what we use to count. / One, two, and three are numbers.
triangle|a shape with three sides and three corners.
square|a shape with four equal sides and four corners.
circle|a perfectly round shape.
color|what our eyes see when light comes from things. / Red, blue, and yellow are colors.
love|a warm feeling for someone you care about very much.
courage|being brave. / It means that you do something even when you are afraid.
kindness|being good to others. / A small kind word can make somebody's day.
"""

QA = """
why is the sky blue|Sunlight has all colors in it. The air spreads blue light the most, so the sky looks blue.
why do birds sing|Birds sing to call each other and to say, "This is my place." In spring they sing to find a partner.
why do cats purr|Cats purr when they are calm and happy. Sometimes they also purr to feel better.
why do dogs wag their tails|A dog often wags its tail when it is happy or excited. It is a way to talk with the body.
why do we sleep|We sleep so that the body and the brain can rest. While we sleep, we grow and we remember what we learned.
why do we dream|Nobody knows for sure. Many people think that the brain sorts what happened in the day.
why do we need to eat|Food gives the body energy. It also helps us to grow and to stay healthy.
why do we need water|Our body is mostly water. We lose some of it all day, so we have to drink.
why is the sea salty|Rivers carry a little salt from the rocks to the sea. The water goes up into the air, but the salt stays.
why is the grass green|Grass has something green in it that catches sunlight. The plant uses it to make food.
why do leaves fall in autumn|There is less light in autumn, and the cold is coming. The tree drops its leaves to save water.
why does it rain|Water goes up into the air when it is warm. It forms clouds, and when the drops get heavy, they fall as rain.
why is snow white|Snow is made of tiny bits of ice. They throw back all the light, so the snow looks white.
why is fire hot|When something burns, it lets out energy. We feel this energy as heat.
why do we laugh|We laugh when something is funny or when we are happy. It is more fun to laugh together.
why do people cry|People cry when they are sad, hurt, or sometimes very happy. Crying can help you to feel better.
why do bees make honey|Bees make honey so that they have food in the winter.
why do fish live in water|Fish breathe with gills, and gills only work in water.
why do we have seasons|The Earth is a little tilted. So one half of it gets more sun for a part of the year, and then the other half.
why does the moon change its shape|The moon is always round. We only see the part that the sun shines on.
why do stars twinkle|The air above us is always moving. It bends the light of the stars a little, so they seem to twinkle.
why do we have two eyes|With two eyes, we can tell how far away things are.
why do balloons float|Some balloons have a very light gas in them. It is lighter than air, so the balloon goes up.
why do boats float|A boat pushes water away. If it is lighter than that water, it floats.
why do we brush our teeth|We brush our teeth to take away food and germs. That way they stay strong and clean.
why do we go to school|In school, we learn to read, write, and count. We also make friends there.
why do owls come out at night|Owls hunt at night. Their big eyes and good ears help them in the dark.
why do leaves change color|In autumn, the green goes out of the leaves. Then we can see the yellow and the red.
why do we yawn|We often yawn when we are tired or bored. It wakes the body up a little.
why do we sneeze|Something tickles the nose, and the body wants to get it out. So you sneeze.
how do plants grow|Plants need light, water, and good earth. They use sunlight to make their own food, and then they grow.
how do birds fly|Birds have light bones and strong wings. They push the air down with their wings, and that lifts them up.
how do fish breathe|Fish take air out of the water with their gills.
how do bees make honey|Bees drink sweet juice from flowers. They carry it home, and there it turns into honey.
how do planes fly|The engines push the plane forward. The air that flows around the wings lifts it up.
how does a seed grow|First it drinks water. Then a root grows down and a small green stem grows up to the light.
how do I make tea|Boil some water and pour it on the tea. Wait about three minutes. Then it is ready to drink.
how do I make a sandwich|Take two slices of bread. Put butter, cheese, and a leaf of salad between them. Then enjoy it.
how do I make pancakes|Mix flour, milk, and eggs in a bowl. Put a little butter in a hot pan. Pour in some of the mix and turn it when it is golden.
how do I boil an egg|Put the egg in boiling water. Wait about eight minutes. Then cool it in cold water and peel it.
how do I plant a tree|Dig a hole that is wider than the roots. Put the tree in, fill the hole with earth, and give it a lot of water.
how do I draw a cat|Start with a circle for the head and a bigger oval for the body. Add two pointed ears, eyes, whiskers, and a long tail.
how do I make a paper boat|Take a sheet of paper and fold it in half. Fold the top corners to the middle, fold up the edges, and then pull it open.
how do I clean my room|Start with one corner. Put the toys in a box, the books on the shelf, and the clothes in the basket. Then it gets easier.
how can I fall asleep|Try to breathe slowly and think of something nice. It also helps to put away all screens and make the room dark.
how can I make friends|Say hello and smile. Ask what they like, and listen well. Good friends often start with one small word.
how can I learn faster|Learn a little every day, and take breaks. Tell somebody else what you learned. And get enough sleep.
how can I be brave|Being brave does not mean that you are not afraid. Take one small step, and then another one.
how can I save water|Turn off the tap while you brush your teeth. A short shower helps, too.
how can I help at home|You could set the table, water the plants, or put away your things. Every little bit helps.
how can I stay healthy|Eat fruit and vegetables, move a lot, drink water, and sleep enough.
how can I calm down|Breathe in slowly, count to four, and breathe out again. Do that a few times. A short walk can help, too.
how many legs does a spider have|A spider has eight legs.
how many legs does a dog have|A dog has four legs.
how many legs does a bird have|A bird has two legs.
how many legs does an ant have|An ant has six legs. All insects have six legs.
how many days are in a week|There are seven days in a week.
how many months are in a year|There are twelve months in a year.
how many days are in a year|A year has 365 days. Every fourth year has one more.
how many hours are in a day|There are 24 hours in a day.
how many minutes are in an hour|There are 60 minutes in an hour.
how many colors are in a rainbow|People often say seven: red, orange, yellow, green, blue, indigo, and violet.
how many fingers do I have|Most people have ten fingers, five on each hand.
what do cows eat|Cows eat grass and hay.
what do rabbits eat|Rabbits eat grass, hay, and leaves. They like carrots, too.
what do cats eat|Cats eat meat and fish.
what do elephants eat|Elephants eat grass, leaves, fruit, and bark.
what do pandas eat|Pandas eat bamboo, nearly all day long.
what do birds eat|It depends on the bird. Many eat seeds and insects, and some eat fish or fruit.
what do plants need|Plants need light, water, air, and good earth.
what do cows drink|Cows drink water. Only their calves drink milk.
what sound does a cow make|A cow says moo.
what sound does a dog make|A dog says woof.
what sound does a cat make|A cat says meow.
what sound does a duck make|A duck says quack.
what is the biggest animal|The blue whale is the biggest animal in the world. It lives in the sea.
what is the fastest animal|On land, it is the cheetah. In the air, it is the peregrine falcon.
what is the tallest animal|The giraffe is the tallest animal.
what is the biggest planet|Jupiter is the biggest planet that goes around our sun.
what is the opposite of hot|The opposite of hot is cold.
what is the opposite of big|The opposite of big is small.
what is the opposite of happy|The opposite of happy is sad.
what is the opposite of up|The opposite of up is down.
what is the opposite of day|The opposite of day is night.
what comes after Monday|Tuesday comes after Monday.
what comes after seven|Eight comes after seven.
what comes after summer|Autumn comes after summer.
what color is the sky|On a clear day the sky is blue. At sunset it can be red or orange, and at night it is black.
what color is grass|Grass is green.
what color is snow|Snow is white.
what color do you get from blue and yellow|If you mix blue and yellow, you get green.
what color do you get from red and yellow|If you mix red and yellow, you get orange.
what color do you get from red and blue|If you mix red and blue, you get purple.
what is the capital of France|The capital of France is Paris.
what is the capital of Germany|The capital of Germany is Berlin.
what is the capital of Italy|The capital of Italy is Rome.
what is the capital of Japan|The capital of Japan is Tokyo.
what is the capital of England|The capital of England is London.
what is the capital of Spain|The capital of Spain is Madrid.
where do penguins live|Most penguins live in the cold south of the world, near the ice and the sea.
where do bears live|Bears live in forests, in mountains, and, if they are white, on the ice in the far north.
where does the sun go at night|The sun does not go away. The Earth turns, and our side turns away from the light.
where does milk come from|Most milk comes from cows. Goats and sheep give milk, too.
where does rain come from|Rain comes from clouds. The water in the clouds came from the sea, the lakes, and the rivers.
where do apples grow|Apples grow on trees.
where do fish live|Fish live in rivers, in lakes, and in the sea.
who lives in a forest|Deer, foxes, owls, squirrels, and many other animals live in a forest.
when do flowers bloom|Most flowers bloom in spring and summer, when it is warm and bright.
when do bears sleep|Many bears sleep through the winter, when there is not much to eat.
can penguins fly|No, penguins cannot fly. But they can swim very well.
can fish talk|Fish do not talk with words. But some of them make sounds and signs.
can dogs swim|Yes, most dogs can swim. They move their legs as if they were running.
is the sun a star|Yes, the sun is a star. It only looks so big because it is near to us.
is a whale a fish|No. A whale looks like a fish, but it breathes air and gives milk to its baby.
is a tomato a fruit|Yes. It has seeds inside, so it is a fruit. But we eat it like a vegetable.
do fish sleep|Yes, fish rest, too. Most of them sleep with their eyes open.
do trees sleep|Not like we do. But many trees rest in the winter.
are dragons real|No, dragons are not real. They only live in stories. But those are good stories!
are there people on the moon|No, nobody lives on the moon. But twelve people have walked on it.
"""



THING_LIST = [(noun, text.split(" / ")) for noun, text in (line.split("|", 1) for line in THINGS.strip().split("\n"))]
QA_LIST = [tuple(line.split("|", 1)) for line in QA.strip().split("\n")]
UNIQUE = {"sun", "moon", "sky", "Earth", "sea"}
MASS = set("""
rain snow ice wind air water fire winter summer spring autumn bread milk honey cheese chocolate music gravity electricity
love courage kindness lightning thunder
""".split())
IRREGULAR = {
    "mouse": "mice", "fish": "fish", "sheep": "sheep", "wolf": "wolves", "butterfly": "butterflies", "leaf": "leaves",
    "octopus": "octopuses", "monkey": "monkeys",
}


def plural(noun):
    if noun in UNIQUE or noun in MASS:
        return named(noun)
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"


def named(noun):
    return "the " + noun if noun in UNIQUE else noun if noun in MASS else "a " + noun


def defined(noun, lines):
    """ "A cat is a small pet. ..." out of the noun and its lines."""
    return " ".join([f"{capital(named(noun))} is {lines[0]}", *lines[1:]])


def any_fact(r):
    if r.random() < 0.5:
        return r.choice(["Did you know this? ", "Here is one: ", ""]) + defined(*r.choice(THING_LIST))
    return r.choice(QA_LIST)[1]


WHAT_IS = """[What is {n}?|What is {n}|what is {n}?|Explain what {n} is.|Do you know what {n} is?|Can you explain what {n} is?]"""
TELL_OF = """[Tell me about {p}.|Tell me about {p}|What do you know about {p}?|Can you tell me about {p}?|I want to know about {p}.|\
What can you tell me about {p}?|{P}?|Say something about {p}.]"""


def thing(r):
    """-> (question, answer) about one of THINGS."""
    noun, lines = r.choice(THING_LIST)
    used = lines if r.random() < 0.7 or len(lines) == 1 else [lines[0], r.choice(lines[1:])]
    v = {"n": named(noun), "p": plural(noun), "P": capital(plural(noun))}
    return say(r, v, r.choice([WHAT_IS, TELL_OF])), say(r, {}, defined(noun, used))


def question(r):
    """-> (question, answer) out of QA, asked in several ways."""
    asked, answer = r.choice(QA_LIST)
    x = r.random()
    if x < 0.55:
        asked = capital(asked) + "?"
    elif x < 0.75:
        asked = asked + ("?" if r.random() < 0.5 else "")
    elif x < 0.9:
        lead = r.choice(["Please tell me: ", "I have a question. ", "Hey, ", "Can you tell me this? ", "Do you know this? "])
        asked = lead + capital(asked) + "?"
    else:
        asked = capital(asked) + r.choice([", please?", "? I want to know.", "? Can you explain it?"])
    return asked, answer
