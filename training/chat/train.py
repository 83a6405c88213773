"""Trains by the clock on shards that are still being written, and leaves usable weights whenever it is stopped.

    python train.py --rows SHARDS --out OUT --seconds 480

Schedule: warm up, stay, decay to zero over the last 30 % of the time; the window doubles for the last 20 %. Matrices inside
the blocks are trained with Muon, the embedding and the norms with AdamW. Every --save seconds the weights and their running
mean are judged on held-out rows, and the better of the two is written if it is the best so far (weights.py).
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch._dynamo

import weights
from model import TOY, Llama, Shape
from muon import Muon
from stream import Stream

DECAY_SHARE, LONG_SHARE, WARMUP_STEPS = 0.3, 0.2, 60
HUMAN_SHARE = 0.08
AVERAGE_EVERY, AVERAGE_STEPS = 10, 500  # the running mean forgets in about so many steps


def optimizers_for(model, lr):
    matrices = [p for n, p in model.named_parameters() if n.startswith("blk.") and p.dim() == 2]
    norms = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": [model.token_embd.weight], "weight_decay": 0.02}, {"params": norms, "weight_decay": 0.0}]
    fused = model.token_embd.weight.is_cuda
    return [Muon(matrices, lr=lr), torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-10, fused=fused)]


def rate_at(step, done):
    """The learning rate's factor; done: share of the time that has passed."""
    return min(1.0, (step + 1) / WARMUP_STEPS, max(0.0, 1 - done) / DECAY_SHARE)


@torch.no_grad()
def validation_loss(model, held, length, autocast, batches):
    """Mean nats per counted token on held-out rows: the same windows each time."""
    draw = torch.Generator(device=held.device).manual_seed(3)
    total = 0.0
    for _ in range(batches):
        with autocast():
            total += model(*held.windows(16, length, draw)).item()
    return total / batches


class Trainer:
    def __init__(self, options):
        self.options = options
        self.device = torch.device(options.device)
        self.cuda = self.device.type == "cuda"
        self.autocast = lambda: torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda)
        self.shape = TOY if options.toy else Shape()
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("high")
        self.model = Llama(self.shape).to(self.device)
        # Judged and written without the compiler: it takes the weights to be looked at.
        self.plain = Llama(self.shape).to(self.device).eval()
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.optimizers = optimizers_for(self.model, options.lr)
        self.draw = torch.Generator(device=self.device).manual_seed(options.seed + 6)
        self.rows, self.human, self.held = (Stream(self.device) for _ in range(3))
        self.step = self.seen = 0
        self.best, self.good = math.inf, {name: value.clone() for name, value in self.average.items()}

    def refill(self):
        self.rows.take(sorted(self.options.rows.glob("rows_*.bin")))
        self.human.take(self.options.rows.glob("human.bin"))
        self.held.take(self.options.rows.glob("held.bin"))

    def wait_for_rows(self, tokens):
        while self.rows.size < tokens or not self.held.size:
            time.sleep(0.5)
            self.refill()

    def batch(self, rows, length):
        human = round(rows * HUMAN_SHARE) if self.human.size > length + 1 else 0
        parts = [self.rows.windows(rows - human, length, self.draw)] + ([self.human.windows(human, length, self.draw)] if human else [])
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    def compile(self):
        """Compiles the blocks for both windows; goes on without where that fails."""
        began = time.monotonic()
        # The blocks share their code: eight of them in two windows are sixteen versions of it, over the compiler's usual limits.
        for limit in ("recompile_limit", "cache_size_limit", "accumulated_recompile_limit", "accumulated_cache_size_limit"):
            if hasattr(torch._dynamo.config, limit):
                setattr(torch._dynamo.config, limit, 256)
        try:
            for block in self.model.blk:
                block.compile(dynamic=False)
            for rows, length in self.windows.values():
                with self.autocast():
                    self.model(*self.batch(rows, length)).backward()
            torch.cuda.synchronize()
            print(f"compiled in {time.monotonic() - began:.0f} s", flush=True)
        except Exception as error:
            print(f"torch.compile failed, going on without: {error!r}"[:300], flush=True)
            state = self.model.state_dict()
            self.model = Llama(self.shape).to(self.device)
            self.model.load_state_dict(state)
            self.optimizers = optimizers_for(self.model, self.options.lr)
        self.model.zero_grad(set_to_none=True)

    @property
    def windows(self):
        """phase -> (rows, length)."""
        o = self.options
        return {"first": (o.batch, o.length), "last": (max(1, o.batch // 2), 2 * o.length)}

    def judge_and_write(self, length):
        """-> the validation loss of what would be shipped now, and writes it if it is the best."""
        losses = []
        for state in (self.model.state_dict(), self.average):
            self.plain.load_state_dict(state)
            losses.append((validation_loss(self.plain, self.held, length, self.autocast, 8 if self.cuda else 2), state))
        loss, state = min(losses, key=lambda pair: pair[0])
        if loss < self.best:
            self.best = loss
            weights.write(self.options.out, state, self.facts(loss))
        return loss

    def facts(self, loss):
        return {"shape": self.shape.to_dict(), "step": self.step, "tokens": self.seen, "validation": round(loss, 4), "seed": self.options.seed,
                "seconds": round(time.monotonic() - self.began, 1), "rows_tokens": self.rows.size, "torch": torch.__version__,
                "device": torch.cuda.get_device_name() if self.cuda else "CPU", "options": {k: str(v) for k, v in vars(self.options).items()}}

    def recover(self, loss):
        """A loss that is not a number: back to the last weights that were good, at half the rate."""
        print(f"loss is {loss} at step {self.step}: back to the last good weights, half the rate", flush=True)
        self.model.load_state_dict(self.good)
        for optimizer in self.optimizers:
            optimizer.state.clear()
        self.options.lr /= 2

    def run(self):
        o = self.options
        self.began = time.monotonic()
        self.wait_for_rows(o.first_tokens)
        print(f"seed {o.seed}, {sum(p.numel() for p in self.model.parameters())} parameters, {self.rows.size} tokens to begin with, "
              f"{self.facts(0)['device']}, torch {torch.__version__}", flush=True)
        if self.cuda and not o.no_compile:
            self.compile()
        started = saved = refilled = time.monotonic()
        end = self.began + o.seconds
        recent, log = [], open(o.out / "train.log.jsonl", "w", buffering=1)
        long_from = None
        while True:
            now = time.monotonic()
            done = self.step / o.steps if o.steps else (now - started) / max(end - started, 1e-3)
            if done >= 1:
                break
            if done > 1 - LONG_SHARE and long_from is None:
                # The longer window has losses of its own: the best of the shorter one is no measure for it.
                long_from, self.best = self.step, math.inf
            rows, length = self.windows["first" if long_from is None else "last"]
            rate = o.lr * rate_at(self.step, done)
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            with self.autocast():
                x, y = self.batch(rows, length)
                loss = self.model(x, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.step, self.seen = self.step + 1, self.seen + x.numel()
            recent.append(loss.detach())
            if self.step % AVERAGE_EVERY == 0:
                share = min(AVERAGE_EVERY / AVERAGE_STEPS, 1.0) if self.step > AVERAGE_STEPS else 0.5
                torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), share)
            if self.step % o.log_every == 0:
                mean = torch.stack(recent).mean().item()
                recent = []
                if not math.isfinite(mean):
                    self.recover(mean)
                    continue
                line = {"step": self.step, "loss": round(mean, 4), "tokens": self.seen, "seconds": round(now - self.began, 1),
                        "tokens_per_s": round(self.seen / (time.monotonic() - started)), "lr": round(rate, 6), "rows_tokens": self.rows.size}
                if now - saved > o.save:
                    line["validation"], saved = round(self.judge_and_write(length), 4), now
                    self.good = {name: value.clone() for name, value in self.model.state_dict().items()}
                    print(json.dumps(line), flush=True)
                log.write(json.dumps(line) + "\n")
            if now - refilled > 3:
                self.refill()
                refilled = now
        loss = self.judge_and_write(self.windows["last"][1])
        weights.keep_one(o.out)
        print(json.dumps({"done": True, "step": self.step, "tokens": self.seen, "seconds": round(time.monotonic() - self.began, 1), "validation": round(loss, 4)}), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=Path, required=True, help="the folder that write_rows.py fills")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seconds", type=float, default=480, help="compiling and waiting for rows included")
    arguments.add_argument("--steps", type=int, default=0, help="by steps instead, which can be repeated")
    arguments.add_argument("--toy", action="store_true", help="a small shape that a processor can train")
    arguments.add_argument("--batch", type=int, default=128, help="windows in a step")
    arguments.add_argument("--length", type=int, default=512, help="window in the first phase; in the last one twice this, with half the batch")
    arguments.add_argument("--lr", type=float, default=3e-3)
    arguments.add_argument("--save", type=float, default=30, help="seconds between two judgements")
    arguments.add_argument("--log-every", type=int, default=50)
    arguments.add_argument("--first-tokens", type=float, default=20e6, help="rows to wait for before the first step")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=0)
    arguments.add_argument("--no-compile", action="store_true")
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    Trainer(options).run()


if __name__ == "__main__":
    main()
