"""Text to token streams: reads the story texts, cleans them, trains the tokenizer, writes uint16 files.

    python data.py --data DIR --out ../runs/stories

DIR (or the environment variable LANTERN_DATA) holds `text/public-domain-stories/*.txt` and
`text/african-storybook-en/{stories.json,en/*.md}`. Writes to --out:
    tokenizer.model   SentencePiece BPE, 2048 pieces, byte fallback
    train.bin val.bin little-endian uint16 ids: <s> story </s> <s> story </s> ...
    train.txt val.txt the same stories, to calibrate on and to judge by
    data.json         counts, seed
    credits.md        title, author and licence of every CC BY story used
"""
import argparse, json, os, random, re, unicodedata
from pathlib import Path

import numpy as np
import sentencepiece

VOCAB, BOS, EOS = 2048, 1, 2
HELD_OUT = 0.02
# How often a story of each kind occurs in the training stream. The simple texts weigh more: they are what the
# model should sound like, and there are few of them.
COPIES = {"african-storybook": 4, "aesop": 2}
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


def plain(text):
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


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default=os.environ.get("LANTERN_DATA"), help="folder that holds text/ (default: $LANTERN_DATA)")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "runs" / "stories")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    if not options.data:
        arguments.error("say where the texts are: --data DIR or LANTERN_DATA")
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}")
    draw = random.Random(options.seed)

    found, credits = stories(Path(options.data) / "text")
    draw.shuffle(found)
    held = max(1, int(len(found) * HELD_OUT))
    parts = {"val": found[:held], "train": [s for s in found[held:] for _ in range(COPIES.get(s[0], 1))]}
    draw.shuffle(parts["train"])

    # The tokenizer learns from the same (weighted) training text; a line of it is a paragraph.
    lines = options.out / "tokenizer.txt"
    lines.write_text("\n".join(text for _, text in parts["train"]), encoding="utf8")
    # Newlines and anything outside ASCII are byte pieces. `identity`: text in is text out.
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines), model_prefix=str(options.out / "tokenizer"), model_type="bpe", vocab_size=VOCAB, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True,
        split_digits=True, max_sentence_length=1 << 20, unk_id=0, bos_id=BOS, eos_id=EOS, pad_id=-1, num_threads=2,
        minloglevel=1)
    lines.unlink()
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(options.out / "tokenizer.model"))

    summary = {"seed": options.seed, "vocabulary": VOCAB}
    for name, part in parts.items():
        (options.out / f"{name}.txt").write_text("\n".join(text for _, text in part), encoding="utf8")
        ids = [np.array([BOS, *tokenizer.encode(text), EOS], np.uint16) for _, text in part]
        ids = np.concatenate(ids)
        ids.astype("<u2").tofile(options.out / f"{name}.bin")
        characters = sum(len(text) for _, text in part)
        summary[name] = {"stories": len(part), "characters": characters, "tokens": len(ids)}
    (options.out / "data.json").write_text(json.dumps(summary, indent=1) + "\n")
    (options.out / "credits.md").write_text(CREDITS + "".join(f"- {title}: {author}\n" for title, author in credits), encoding="utf8")


if __name__ == "__main__":
    main()
