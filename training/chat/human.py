"""The texts that people wrote: public-domain stories, African Storybook (CC BY), small talk from personality-chat (MIT).

`DATA/text` holds `public-domain-stories/*.txt`, `african-storybook-en/en/*.md` and `personality-chat/*.tsv`. They are brought
to plain ASCII, cut into pieces that fit the context, and weighed.
"""

import csv
import re
import unicodedata

# How often a piece of each kind occurs. The simple texts weigh more: they are what the model should sound like. The old books
# weigh so little because free openings drifted into their style: a part of them, drawn by PIECES_OF_BOOKS, is enough.
COPIES = {"african-storybook": 6, "aesop": 3}
PIECES_OF_BOOKS = 0.3
PIECE = 1800  # characters, about
# Left out as a whole: heavy slang and slurs.
SKIP_BOOKS = ("mark-twain_the-adventures-of-tom-sawyer",)
# Tales and paragraphs of their time that nobody should have continued for them.
UNKIND = re.compile(r"\b(nigger\w*|negro\w*|darky|darkies|coons?|savages?|jew|jews|jewess|jewish|gyps\w+|redskins?)\b", re.I)
FRONT_MATTER = re.compile(r"(introduction|preface|author.s note|contents|preparer.s note|produced by|end of project gutenberg"
                          r"|the brothers grimm,? (jacob|fairy)|fairy tales|andersen's fairy tales)", re.I)
CREDITS = """# Stories under CC BY in the training text

From the African Storybook initiative (https://www.africanstorybook.org), by way of https://github.com/global-asp/asp-source,
licence CC BY (https://creativecommons.org/licenses/by/4.0/). Title: author, as credited there. The text was cleaned and cut into
tokens; the pictures were not used.

"""
# A small vocabulary goes further on plain ASCII.
ASCII = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "—": " - ", "–": "-", "…": "...", "æ": "ae", "Æ": "Ae",
                       "œ": "oe", "\u00a0": " ", "_": "", "⁠": ""})


# Small talk that would say the wrong thing about what it is, or that children need not read.
LEFT_OUT = re.compile(r"\b(fuck|shit|bitch|ass|asshole|sex|kiss|naked|suck|damn|hell|kill|die|porn|nude|hot|gay|marry|boss|cortana|hal|siri"
                      r"|skynet|god|name|old|born|made|creat|parent|mother|mom|dad|dumb|stupid|hate|fired?|drunk)", re.I)


def plain(text):
    """To ASCII, without the marks of typesetting."""
    text = unicodedata.normalize("NFKD", text.translate(ASCII)).encode("ascii", "ignore").decode()
    text = re.sub(r"--+", " - ", text)
    text = re.sub(r"\[[^\]]*\]", "", text)
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r" *\n *", "\n", text).replace("- -", "-").strip()


def is_heading(paragraph):
    """Chapter numbers and titles: short, one line, and without the end of a sentence."""
    return len(paragraph) < 90 and "\n" not in paragraph and not re.search(r"[.!?:;,\"'-]$", re.sub(r"^[IVXL]+\.$", "", paragraph))


def book(path):
    """One book -> its chapters or tales, each a list of paragraphs."""
    text = path.read_text(encoding="utf8").replace("\r", "")
    wrapped = re.search(r"_\d+$", path.stem)  # Project Gutenberg text, hard-wrapped; the other books are one line per paragraph
    if "Grimms" in path.stem:  # dialogue in single quotes; make it like the others'
        text = re.sub(r"(?<=[,.!?;:-])’", "”", text.replace("‘", "“"))
    for part in re.split(r"\n{4,}" if wrapped else r"\n{3,}", text):
        if FRONT_MATTER.match(part.strip()):
            continue
        paragraphs = [plain(" ".join(p.split()) if wrapped else p) for p in re.split(r"\n{2,}", part)]
        paragraphs = [p for p in paragraphs if p and not re.fullmatch(r"[\W\d]*", p)]
        if "aesop" in path.stem:  # many fables in one part, each under its title
            fable = []
            for p in paragraphs:
                if is_heading(p):
                    yield fable
                    fable = []
                else:
                    fable.append(p)
            yield fable
            continue
        while paragraphs and (is_heading(paragraphs[0]) or (wrapped and paragraphs[0].isupper())):
            paragraphs.pop(0)
        yield paragraphs


def storybook(path):
    """One African Storybook page file -> (paragraphs, credit)."""
    text = path.read_text(encoding="utf8")
    title = text.split("\n", 1)[0].lstrip("# ").strip()
    credit = dict(re.findall(r"^\* (\w+): (.*)$", text, re.M))
    body = re.sub(r"^(#|\* \w+:).*$", "\n", text, flags=re.M)  # `##` starts a page, which is a paragraph here
    paragraphs = [plain(" ".join(p.split())) for p in re.split(r"\n{2,}", body)]
    return [p for p in paragraphs if p], title, credit


def stories(root):
    """Yields (kind, text) for every story, in a fixed order; and the CC BY credits."""
    found, credits = [], []
    for path in sorted((root / "public-domain-stories").glob("*.txt")):
        if path.stem == "SOURCE" or path.stem in SKIP_BOOKS:
            continue
        kind = "aesop" if "aesop" in path.stem else path.stem
        for paragraphs in book(path):
            if sum(bool(UNKIND.search(p)) for p in paragraphs) > 3:
                continue
            text = "\n".join(p for p in paragraphs if not UNKIND.search(p))
            if len(text) >= 200:
                found.append((kind, text))
    for path in sorted((root / "african-storybook-en" / "en").glob("*.md")):
        paragraphs, title, credit = storybook(path)
        text = "\n".join(paragraphs)
        if credit.get("License") == "[CC-BY]" and len(text) >= 120:
            found.append(("african-storybook", text))
            credits.append((title, credit.get("Text", "unknown")))
    return found, credits


def pieces(text):
    """A text in pieces of whole paragraphs."""
    part, size = [], 0
    for paragraph in text.split("\n"):
        part.append(paragraph)
        size += len(paragraph)
        if size > PIECE:
            yield "\n".join(part)
            part, size = [], 0
    if size > 120:
        yield "\n".join(part)


def small_talk(root):
    """[question, answer] out of personality-chat."""
    answers = {}
    for voice in ("friend", "professional"):
        with open(root / "personality-chat" / f"qna_chitchat_the_{voice}.tsv", encoding="utf-8-sig") as file:
            for line in csv.reader(file, delimiter="\t"):
                if len(line) > 1 and line[0] != "Question" and not LEFT_OUT.search(line[0] + " " + line[1]):
                    answers.setdefault(plain(line[0]), plain(line[1]))
    return [[question, answer] for question, answer in answers.items()]


def rows(root, draw):
    """-> ([{"text": …, "weight": n} or {"messages": […], "weight": n}], credits as Markdown)."""
    found, credits = stories(root)
    made = []
    for kind, text in found:
        for piece in pieces(text):
            if kind in COPIES or draw.random() < PIECES_OF_BOOKS:
                made.append({"text": piece, "weight": COPIES.get(kind, 1)})
    made += [{"messages": messages, "weight": 2} for messages in small_talk(root)]
    return made, CREDITS + "".join(f"- {title}: {author}\n" for title, author in credits)
