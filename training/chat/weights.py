"""Weights on their way: F16 in parts that fit through a narrow door, two sets taking turns, and a note that names the good set.

A folder holds weights.json and weights.a.0, weights.a.1, … or weights.b.0, …. The note is replaced last and in one step, so
whenever the writer is killed, it names a set that is whole. read() checks the hash.
"""

import hashlib
import io
import json
import os

import numpy as np
import torch

from model import Llama, Shape

PART = 14_500_000  # bytes; the door lets 15 MiB through


def write(folder, state, facts):
    """state: name -> tensor; facts: what the note holds besides (shape, step, validation, …)."""
    note = folder / "weights.json"
    used = json.loads(note.read_text())["set"] if note.exists() else "b"
    chosen = "a" if used == "b" else "b"
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value.detach().to("cpu", torch.float16).numpy() for name, value in state.items()})
    data = buffer.getvalue()
    parts = [data[i : i + PART] for i in range(0, len(data), PART)]
    for i, part in enumerate(parts):
        (folder / f"weights.{chosen}.{i}").write_bytes(part)
    facts = {"set": chosen, "parts": len(parts), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **facts}
    (folder / "weights.json.partial").write_text(json.dumps(facts, indent=1) + "\n")
    os.replace(folder / "weights.json.partial", note)


def keep_one(folder):
    """Removes the set that the note does not name."""
    used = json.loads((folder / "weights.json").read_text())["set"]
    for path in folder.glob("weights.[ab].*"):
        if not path.name.startswith(f"weights.{used}."):
            path.unlink()


def read(folder):
    """-> (name -> float32 tensor, the note)."""
    note = json.loads((folder / "weights.json").read_text())
    data = b"".join((folder / f"weights.{note['set']}.{i}").read_bytes() for i in range(note["parts"]))
    if hashlib.sha256(data).hexdigest() != note["sha256"]:
        raise SystemExit(f"the weights in {folder} are not the ones that weights.json names: a part is missing or cut off; copy the folder again")
    arrays = np.load(io.BytesIO(data))
    return {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}, note


def model_of(folder):
    """-> (model in eval mode, the note)."""
    state, note = read(folder)
    model = Llama(Shape(**note["shape"]))
    model.load_state_dict(state)
    return model.eval(), note
