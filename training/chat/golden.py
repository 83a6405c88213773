"""Writes the greedy ids an engine has to reproduce from a GGUF's dequantized weights, computed in float64: a story that it goes
on with, and an answer to a question.

    python golden.py ../../www/models/lantern-chat.q8_0.gguf ../../tests/cases/chat/golden.json

`margins[i]` is how far, in logits, the chosen id was ahead of the next best: an engine with rounder arithmetic may part
from these ids only where its error can exceed the margin.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch

from gguf_model import continue_ids, load
from tokenizer import ROLES

PROMPT = "Ben and his cat Luna went to the beach."
QUESTION = "Write a poem about the sea."
# Text in, ids out: plain words, runs of spaces, digits, a newline, and characters outside the vocabulary.
TEXTS = [PROMPT, QUESTION, "", " ", "  two  spaces ", "Hello, world!", "It was 1984.", "A line.\nAnother line.", '"Who are you?" asked the King.',
         "Stra\u00dfe, \u65e5\u672c \U0001f98a", "caf\u00e9\tna\u00efve"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--tokens", type=int, default=96)
    arguments.add_argument("--fewest", type=int, default=64, help="a story that ends before is refused")
    options = arguments.parse_args()
    model, vocabulary = load(options.file, torch.float64)
    stops = [vocabulary.eos, vocabulary.control[ROLES["end"]]]

    def continued(prompt_ids):
        ids, margins = continue_ids(model, prompt_ids, options.tokens, stops)
        print(f"{len(ids)} ids, smallest margin {min(margins, default=0):.4f}\n{vocabulary.decode(ids)}")
        return {"prompt_ids": prompt_ids, "greedy_ids": ids, "margins": [round(m, 4) for m in margins], "text": vocabulary.decode(prompt_ids + ids)}

    story = continued([vocabulary.bos, *vocabulary.encode(PROMPT)])
    if len(story["greedy_ids"]) < options.fewest:
        raise SystemExit(f"the story ends after {len(story['greedy_ids'])} ids: choose another PROMPT")
    # What is added to the prompt, so with the space before its first word.
    story["text"] = story["text"].removeprefix(PROMPT)
    answer = continued(vocabulary.prompt([QUESTION]))
    answer["text"] = vocabulary.decode(answer["greedy_ids"])
    golden = {
        "file": options.file.name,
        "sha256": hashlib.sha256(options.file.read_bytes()).hexdigest(),
        "prompt": PROMPT, **story,
        "question": {"prompt": QUESTION, **answer},
        "encodings": [{"text": text, "ids": vocabulary.encode(text)} for text in TEXTS],
    }
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items())
    options.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf8")


if __name__ == "__main__":
    main()
