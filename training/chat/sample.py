"""Continues a text with a GGUF of ours, or with --chat answers it.

    python sample.py ../../www/models/lantern-chat.q8_0.gguf "Once upon a time there was a little rabbit"
    python sample.py ../../www/models/lantern-chat.q8_0.gguf --chat "Tell me a story about a fox." --temperature 0.7
"""

import argparse

from generate import continue_many
from gguf_model import load
from tokenizer import ROLES


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("prompts", nargs="+")
    arguments.add_argument("--chat", action="store_true", help="each prompt is what a visitor says")
    arguments.add_argument("--system", help="system prompt, with --chat")
    arguments.add_argument("--temperature", type=float, default=0.0)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--tokens", type=int, default=300)
    options = arguments.parse_intermixed_args()
    model, vocabulary = load(options.file)
    encode = (lambda p: vocabulary.prompt([p], options.system)) if options.chat else (lambda p: [vocabulary.bos, *vocabulary.encode(p)])
    stops = [vocabulary.eos, vocabulary.control[ROLES["end"]]]
    made = continue_many(model, [encode(p) for p in options.prompts], options.tokens, stops, options.temperature, seed=options.seed)
    for prompt, (ids, _) in zip(options.prompts, made):
        start = [] if options.chat else vocabulary.encode(prompt)
        print(f"--- seed {options.seed}, temperature {options.temperature}: {prompt}\n{vocabulary.decode(start + ids)}")


if __name__ == "__main__":
    main()
