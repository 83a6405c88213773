"""Judges a model: right answers by set, held-out plots in bits a character, fixed prompts as they come out.

    python evaluate.py ../masters/lantern-chat.f16.gguf --out scores.json --sums 100 --others 40
    python evaluate.py OUT --tokenizer PACK/tokenizer.json      # weights as train.py leaves them

Greedy for what is counted; the samples both greedy and at temperature 0.7, top-k 40. Bits a character and not nats a token, so
that models with different vocabularies can be compared.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import torch

import judges
from generate import continue_many
from tokenizer import ROLES, Vocabulary


def load(path, tokenizer):
    """A GGUF, or a folder of weights with its tokenizer."""
    if path.is_dir():
        import weights

        return weights.model_of(path)[0], Vocabulary.read(tokenizer)
    import gguf_model

    return gguf_model.load(path)


def prompt_ids(vocabulary, prompt):
    if isinstance(prompt, str):
        return [vocabulary.bos, *vocabulary.encode(prompt)]
    system, turns = prompt
    return vocabulary.prompt(turns, system)


def answers(model, vocabulary, prompts, tokens, temperature=0.0, seed=1):
    """-> [(text, ended)]."""
    stops = [vocabulary.eos, vocabulary.control[ROLES["end"]]]
    batch = 256 if model.cos.is_cuda else 32
    made = continue_many(model, [prompt_ids(vocabulary, p) for p in prompts], tokens, stops, temperature, seed=seed, batch=batch)
    return [(vocabulary.decode(ids), ended) for ids, ended in made]


def right_of(model, vocabulary, cases):
    """-> (how many are right, [(question, answer, right)])."""
    made = answers(model, vocabulary, [(case.system, case.turns) for case in cases], max(case.tokens for case in cases))
    rows = [(case.turns[-1], text, bool(case.right(text))) for case, (text, _) in zip(cases, made)]
    return sum(row[2] for row in rows), rows


@torch.inference_mode()
def bits_per_character(model, vocabulary, texts):
    """How surprising the texts are, each from its start."""
    nats = 0.0
    for text in texts:
        ids = [vocabulary.bos, *vocabulary.encode(text)][: model.shape.context + 1]
        x = torch.tensor([ids], device=model.cos.device)
        loss = model(x[:, :-1], x[:, 1:])
        nats += loss.item() * (len(ids) - 1)
    return nats / math.log(2) / sum(map(len, texts))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=Path)
    arguments.add_argument("--tokenizer", type=Path, help="tokenizer.json, for a folder of weights")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--sums", type=int, default=100, help="cases in each set of sums")
    arguments.add_argument("--others", type=int, default=40, help="cases in each other set")
    arguments.add_argument("--only", nargs="+", metavar="SET", help="these sets alone, without held-out plots and samples")
    arguments.add_argument("--data", default=os.environ.get("LANTERN_DATA"), help="folder with text/svamp, for sums that nobody here wrote")
    arguments.add_argument("--seed", type=int, default=99)
    arguments.add_argument("--show", type=int, default=0, help="print so many wrong answers of each set")
    arguments.add_argument("--threads", type=int, default=0)
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    began = time.monotonic()
    model, vocabulary = load(options.model, options.tokenizer)
    model = model.to(options.device)
    report = {"model": options.model.name, "seed": options.seed, "right": {}, "of": {}}
    sets = {name: judges.cases(judge, options.sums, options.seed) for name, judge in judges.SUMS.items()}
    sets |= {name: judges.cases(judge, options.others, options.seed) for name, judge in judges.OTHERS.items()}
    outside = Path(options.data or "") / "text" / "svamp" / "SVAMP.json"
    if options.data and outside.exists():
        sets["sums_svamp"] = judges.svamp(outside, options.sums, options.seed)
    if options.only:
        sets = {name: sets[name] for name in options.only}
    print(f"seed {options.seed}, {options.model.name}", flush=True)
    for name, cases in sets.items():
        right, rows = right_of(model, vocabulary, cases)
        report["right"][name], report["of"][name] = right, len(cases)
        print(f"{name}: {right} of {len(cases)} ({100 * right / len(cases):.0f} %)", flush=True)
        for question, answer, _ in [row for row in rows if not row[2]][: options.show]:
            print(f"    {question[:200]!r} -> {answer[:200]!r}")
        write(options.out, report)
    if options.only:
        return
    report["held_out_plots_bits_per_character"] = round(bits_per_character(model, vocabulary, judges.held_out_plots(options.others, options.seed)), 4)
    print(f"held-out plots: {report['held_out_plots_bits_per_character']} bits a character", flush=True)
    write(options.out, report)
    for name, temperature in (("greedy", 0.0), ("samples", 0.7)):
        made = answers(model, vocabulary, judges.PROMPTS, 300, temperature)
        report[name] = [{"prompt": prompt, "answer": text, "ended": ended} for prompt, (text, ended) in zip(judges.PROMPTS, made)]
    write(options.out, report)
    print(f"judged in {time.monotonic() - began:.0f} s", flush=True)


def write(path, report):
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
