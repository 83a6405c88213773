"""Writes the greedy continuation an engine has to reproduce from a GGUF's dequantized weights, computed in float64.

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

PROMPT = "Once upon a time, there was a little girl called"  # its first thirty choices are clear ones
# Text in, ids out: plain words, runs of spaces, digits, a newline, and characters outside the vocabulary.
TEXTS = [PROMPT, "", " ", "  two  spaces ", "Hello, world!", "It was 1984.", "A line.\nAnother line.", '"Who are you?" asked the King.',
         "Stra\u00dfe, \u65e5\u672c \U0001f98a", "caf\u00e9\tna\u00efve"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--tokens", type=int, default=96)
    arguments.add_argument("--fewest", type=int, default=64, help="a text that ends before is refused")
    options = arguments.parse_args()
    model, vocabulary = load(options.file, torch.float64)
    prompt_ids = [vocabulary.bos, *vocabulary.encode(PROMPT)]
    greedy_ids, margins = continue_ids(model, prompt_ids, options.tokens, [vocabulary.eos])
    if len(greedy_ids) < options.fewest:
        raise SystemExit(f"the story ends after {len(greedy_ids)} ids: choose another PROMPT")
    golden = {
        "file": options.file.name,
        "sha256": hashlib.sha256(options.file.read_bytes()).hexdigest(),
        "prompt": PROMPT,
        "prompt_ids": prompt_ids,
        "greedy_ids": greedy_ids,
        "margins": [round(m, 4) for m in margins],
        # What is added to the prompt, so with the space before its first word.
        "text": vocabulary.decode(prompt_ids + greedy_ids).removeprefix(PROMPT),
        "encodings": [{"text": text, "ids": vocabulary.encode(text)} for text in TEXTS],
    }
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items())
    options.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf8")
    print(f"{len(greedy_ids)} ids, smallest margin {min(margins):.4f}")
    print(golden["text"])


if __name__ == "__main__":
    main()
