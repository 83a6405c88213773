"""Continues a prompt with a GGUF of ours, and measures its held-out loss with --evaluate.

    python sample.py ../../www/models/lantern-stories.q8_0.gguf "Once upon a time there was a little rabbit"
"""
import argparse
from pathlib import Path

import numpy as np
import torch

from gguf_model import continue_ids, load
from train import validation_loss


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("prompts", nargs="*")
    arguments.add_argument("--temperature", type=float, default=0.0)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--tokens", type=int, default=200)
    arguments.add_argument("--evaluate", type=Path, metavar="RUN", help="the folder data.py wrote, for its val.bin")
    options = arguments.parse_intermixed_args()
    model, vocabulary = load(options.file)
    if options.evaluate:
        held = np.fromfile(options.evaluate / "val.bin", "<u2")
        loss = validation_loss(model, held, model.shape.context, torch.device("cpu"))
        print(f"held-out loss {loss:.4f} nats per token, over {len(held)} tokens in windows of {model.shape.context}")
    for prompt in options.prompts:
        made, _ = continue_ids(model, [vocabulary.bos, *vocabulary.encode(prompt)], options.tokens, vocabulary.eos, options.temperature, options.seed)
        print(f"--- seed {options.seed}, temperature {options.temperature}\n{vocabulary.decode(vocabulary.encode(prompt) + made)}")


if __name__ == "__main__":
    main()
