"""Packs what the machine that trains needs: the scripts, a tokenizer, the human texts. It has PyTorch and NumPy and no network.

    python pack.py --data DATA --out ../runs/chat/pack      # a minute

DATA (or LANTERN_DATA) holds text/ (human.py says what). Without it the pack has generated text alone, and says so.
"""

import argparse
import json
import lzma
import os
import random
import shutil
from pathlib import Path

import check
import human
import tokenizer
from corpus import mix

HERE = Path(__file__).resolve().parent
LIMIT = 48 << 20  # bytes: what goes through the door
VOCABULARY_SIZE = 4096
DOCUMENTS = 60_000  # generated ones that the tokenizer learns from
ON_GPU = ["tokenizer.py", "rows.py", "write_rows.py", "model.py", "muon.py", "stream.py", "weights.py", "train.py", "generate.py", "judges.py", "evaluate.py", "on_gpu.sh"]


def tokenizer_texts(human_rows, draw, documents):
    """Human texts once, and generated documents."""
    texts = []
    for line in human_rows:
        texts += [line["text"]] if "text" in line else line["messages"]
    for _ in range(documents):
        _, system, body = mix.document(draw)
        texts += ([system] if system else []) + ([body] if isinstance(body, str) else body)
    return texts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default=os.environ.get("LANTERN_DATA"), help="folder that holds text/ (default: $LANTERN_DATA)")
    arguments.add_argument("--out", type=Path, default=HERE.parent / "runs" / "chat" / "pack")
    arguments.add_argument("--seed", type=int, default=4)
    arguments.add_argument("--documents", type=int, default=DOCUMENTS, help="that the tokenizer learns from")
    options = arguments.parse_args()
    print(f"seed {options.seed}")
    check.held_out_stays_out(5_000, options.seed)
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)

    human_rows, root = [], Path(options.data or "") / "text"
    if options.data and root.is_dir():
        human_rows, credits = human.rows(root, random.Random(options.seed))
        (options.out / "credits.md").write_text(credits, encoding="utf8")
        with lzma.open(options.out / "human.jsonl.xz", "wt", preset=9, encoding="utf8") as file:
            for line in human_rows:
                file.write(json.dumps(line) + "\n")
        print(f"human texts: {len(human_rows)} pieces")
    else:
        print(f"no human texts: {root} is not there; say --data DIR or set LANTERN_DATA. The model will be trained on generated text alone.")

    texts = tokenizer_texts(human_rows, random.Random(f"{options.seed} tokenizer"), options.documents)
    vocabulary = tokenizer.train(texts, VOCABULARY_SIZE, options.out)
    vocabulary.write(options.out / "tokenizer.json")
    characters = sum(map(len, texts[:20_000]))
    print(f"tokenizer: {len(vocabulary)} pieces, {characters / sum(len(vocabulary.encode(t)) for t in texts[:20_000]):.2f} characters a token")

    for name in ON_GPU:
        shutil.copy2(HERE / name, options.out / name)
    shutil.copytree(HERE / "corpus", options.out / "corpus", ignore=shutil.ignore_patterns("__pycache__"))
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 2**20:.2f} MiB")
    if size > LIMIT:
        raise SystemExit(f"the pack has {size} bytes; {LIMIT} is the most that may be carried")


if __name__ == "__main__":
    main()
