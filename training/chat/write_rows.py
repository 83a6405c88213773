"""Writes shards of rows without end, one process per core, until it is stopped or there are enough tokens.

    python write_rows.py --tokenizer tokenizer.json --out SHARDS --workers 14 --tokens 1.2e9

Shard K of worker W is a function of (seed, W, K) alone. held.bin is what validation reads.
"""

import argparse
import json
import lzma
import os
import random
import signal
import sys
import time
from multiprocessing import Process
from pathlib import Path

from corpus import mix
from rows import Shard, row, text_row
from tokenizer import Vocabulary

SHARD_TOKENS, HELD_TOKENS = 500_000, 400_000


def write_shard(vocabulary, seed, tokens, path):
    draw, shard = random.Random(seed), Shard()
    while shard.size < tokens:
        _, system, body = mix.document(draw)
        shard.add(*row(vocabulary, system, body))
    shard.write(path)
    return shard.size


def work(options, worker):
    os.nice(5)
    vocabulary, total, part = Vocabulary.read(options.tokenizer), 0, 0
    while total < options.tokens / options.workers:
        total += write_shard(vocabulary, f"{options.seed} {worker} {part}", options.shard_tokens, options.out / f"rows_{worker:02d}_{part:04d}.bin")
        part += 1


def write_human(options):
    """The human texts (human.py), a shard of their own."""
    vocabulary, draw, shard = Vocabulary.read(options.tokenizer), random.Random(options.seed), Shard()
    lines = [json.loads(line) for line in lzma.open(options.human, "rt", encoding="utf8")]
    lines = [line for line in lines for _ in range(line["weight"])]
    draw.shuffle(lines)
    for line in lines:
        shard.add(*(text_row(vocabulary, line["text"]) if "text" in line else row(vocabulary, None, line["messages"])))
    shard.write(options.out / "human.bin")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tokenizer", type=Path, required=True)
    arguments.add_argument("--human", type=Path, help="human.jsonl.xz; without it there are none")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--tokens", type=float, default=1.2e9, help="all workers together")
    arguments.add_argument("--shard-tokens", type=int, default=SHARD_TOKENS)
    arguments.add_argument("--seed", type=int, default=4)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    print(f"rows: seed {options.seed}, {options.workers} workers", flush=True)
    # So that its workers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    workers = [Process(target=work, args=(options, i), daemon=True) for i in range(options.workers)]
    for worker in workers:
        worker.start()
    held = min(HELD_TOKENS, options.shard_tokens)
    write_shard(Vocabulary.read(options.tokenizer), f"{options.seed} held", held, options.out / "held.bin")
    if options.human:
        write_human(options)
    for worker in workers:
        worker.join()
    tokens = sum(path.stat().st_size for path in options.out.glob("rows_*.bin")) // 2
    print(f"rows: {tokens / 1e6:.1f} M tokens in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
