"""Trains the story model. Resumable; CPU or CUDA; stops by steps or by the clock.

    python train.py --until 13:20            # or --minutes 90, or --steps 4000
    python train.py --until 13:20 --resume   # goes on from the last checkpoint

Schedule: warm up, stay, decay to zero over the last quarter of the run. The long stay makes the end time free to
move; the decay also doubles the window, so that the model has seen its whole context. Matrices inside the blocks are
trained with Muon (momentum, orthogonalised by Newton-Schulz; https://kellerjordan.github.io/posts/muon/), the
embedding and the norms with AdamW. Batches are a function of (seed, step), so a resumed run sees what an unbroken
one would have seen.
"""
import argparse, datetime, json, math, os, time
from pathlib import Path

import numpy as np
import torch

from model import Llama, Shape

WARMUP_STEPS, DECAY_SHARE = 60, 0.25
EVALUATE_EVERY, CHECKPOINT_SECONDS = 250, 180


class Muon(torch.optim.Optimizer):
    """Steps along the nearest semi-orthogonal matrix to the momentum; same-shaped matrices are done as one batch."""

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.1):
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                by_shape.setdefault(p.shape, []).append(p)
            for shape, parameters in by_shape.items():
                updates = []
                for p in parameters:
                    state = self.state[p]
                    if not state:
                        state["momentum"] = torch.zeros_like(p)
                    state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(state["momentum"], group["momentum"]))
                # 0.2 sqrt(max(shape)) gives updates the size AdamW's have, so one learning rate scale fits both.
                size = 0.2 * max(shape) ** 0.5 * group["lr"]
                for p, update in zip(parameters, orthogonal(torch.stack(updates))):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=size)


def orthogonal(m, rounds=5):
    """[n, rows, columns] -> the same with singular values near 1."""
    tall = m.shape[1] > m.shape[2]
    x = m.mT if tall else m
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


def batch(tokens, seed, step, rows, length, device):
    """The rows of one step: windows of a shuffled cut of the stream; a new cut each time the stream has been seen."""
    per_pass = (len(tokens) - length - 1) // length
    starts = []
    for index in range(step * rows, (step + 1) * rows):
        draw = np.random.default_rng((seed, index // per_pass))
        phase, order = draw.integers(length), draw.permutation(per_pass)
        starts.append(phase + length * order[index % per_pass])
    windows = torch.from_numpy(np.stack([tokens[s : s + length + 1] for s in starts]).astype(np.int64)).to(device)
    return windows[:, :-1], windows[:, 1:]


@torch.no_grad()
def validation_loss(model, tokens, length, device):
    """Mean nats per token over the whole held-out text, in windows of `length`."""
    model.eval()
    count = (len(tokens) - 1) // length
    x = torch.from_numpy(tokens[: count * length].astype(np.int64)).view(count, length)
    y = torch.from_numpy(tokens[1 : count * length + 1].astype(np.int64)).view(count, length)
    total = sum(model(a.to(device), b.to(device)).item() * len(a) for a, b in zip(x.split(16), y.split(16)))
    model.train()
    return total / count


def seconds_until(clock):
    now = datetime.datetime.now()
    hour, minute = map(int, clock.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (end - now + datetime.timedelta(days=end <= now)).total_seconds()


def save(path, **state):
    """Never leaves half a checkpoint behind."""
    torch.save(state, path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--run", type=Path, default=Path(__file__).parent.parent / "runs" / "stories", help="what data.py wrote; checkpoints go here")
    end = arguments.add_mutually_exclusive_group(required=True)
    end.add_argument("--steps", type=int, help="whole run, resumed part included")
    end.add_argument("--minutes", type=float, help="from now")
    end.add_argument("--until", help="HH:MM, local time")
    arguments.add_argument("--resume", action="store_true")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--rows", type=int, default=16)
    arguments.add_argument("--length", type=int, default=256, help="window before the decay; in it twice this, with half the rows")
    arguments.add_argument("--lr", type=float, default=3e-3)
    arguments.add_argument("--dropout", type=float, default=0.1, help="the texts are few and read many times")
    arguments.add_argument("--threads", type=int, default=0)
    arguments.add_argument("--bf16", action="store_true", help="multiply in bfloat16; weights, optimisers and validation stay float32")
    arguments.add_argument("--compile", action="store_true")
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)

    train = np.fromfile(options.run / "train.bin", "<u2")
    held = np.fromfile(options.run / "val.bin", "<u2")
    shape = Shape()
    model = Llama(shape, options.dropout).to(device)
    matrices = [p for n, p in model.named_parameters() if n.startswith("blk.") and p.dim() == 2]
    embedding = [model.token_embd.weight]
    norms = [p for p in model.parameters() if p.dim() == 1]
    fused = device.type == "cuda"
    optimizers = [
        Muon(matrices, lr=options.lr),
        torch.optim.AdamW([{"params": embedding, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}],
                          lr=options.lr, betas=(0.9, 0.98), eps=1e-10, fused=fused),
    ]

    step, seconds, seen, decay_from = 0, 0.0, 0, None
    checkpoint = options.run / "checkpoint.pt"
    if options.resume and checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        step, seconds, seen, options.seed, decay_from = (state[k] for k in ("step", "seconds", "tokens", "seed", "decay_from"))
        torch.set_rng_state(state["rng"].cpu())
    log = open(options.run / "log.jsonl", "a" if step else "w", buffering=1)
    deadline = None if options.steps else time.monotonic() + (options.minutes * 60 if options.minutes else seconds_until(options.until))
    print(f"seed {options.seed}, {sum(p.numel() for p in model.parameters())} parameters, {len(train)} tokens, from step {step}, "
          f"{device}, torch {torch.__version__}", flush=True)
    forward = torch.compile(model) if options.compile else model

    def write():
        save(checkpoint, model=model.state_dict(), optimizers=[o.state_dict() for o in optimizers], step=step, seconds=seconds,
             tokens=seen, seed=options.seed, decay_from=decay_from, rng=torch.get_rng_state(), shape=shape.to_dict(),
             validation=validation)

    validation, recent, saved_at = None, [], time.monotonic()
    while True:
        began = time.monotonic()
        # By the clock, not by training time alone: other work may share the machine.
        done = step / options.steps if options.steps else seconds / (seconds + max(deadline - began, 0) or 1)
        if done >= 1 or (deadline and began >= deadline):
            break
        decaying = done >= 1 - DECAY_SHARE
        if decaying and decay_from is None:
            decay_from = step
        rate = min(1.0, (step + 1) / WARMUP_STEPS, (1 - done) / DECAY_SHARE)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = options.lr * rate
        # Twice the window and half the rows once the decay has begun. The windows of the two phases are numbered apart.
        rows, length = (max(1, options.rows // 2), options.length * 2) if decaying else (options.rows, options.length)
        x, y = batch(train, options.seed + decaying, step - (decay_from or 0) * decaying, rows, length, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            loss = forward(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + x.numel()
        recent.append(loss.item())
        seconds += time.monotonic() - began
        if not math.isfinite(recent[-1]):
            raise SystemExit(f"loss is {recent[-1]} at step {step}; the last checkpoint is good: lower --lr and --resume")
        if step % EVALUATE_EVERY == 0:
            validation = validation_loss(model, held, length, device)
        if step % 25 == 0:
            row = {"step": step, "loss": round(sum(recent) / len(recent), 4), "lr": options.lr * rate, "tokens": seen,
                   "seconds": round(seconds), "tokens_per_s": round(seen / seconds)}
            if step % EVALUATE_EVERY == 0:
                row["validation"] = round(validation, 4)
            print(json.dumps(row), flush=True)
            log.write(json.dumps(row) + "\n")
            recent = []
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            write()
            saved_at = time.monotonic()
    validation = validation_loss(model, held, shape.context, device)
    write()
    print(json.dumps({"done": True, "step": step, "tokens": seen, "seconds": round(seconds), "validation": round(validation, 4)}))


if __name__ == "__main__":
    main()
