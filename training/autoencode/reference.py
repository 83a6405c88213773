"""Writes what TAESD makes of a picture, in float64 on the CPU: the numbers an engine is held to.

    python reference.py --encoder taesd_encoder.safetensors --decoder taesd_decoder.safetensors \
        --picture astronaut.png ../../tests/cases/taesd

Networks as in github.com/madebyollin/taesd (taesd.py). The weights are BF16 in the files; every float64 here is one of
them, or computed from them. Nothing of the engine is used: safetensors are read with numpy alone.
"""
import argparse, hashlib, json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

# name, left, top, width, height, step: of the decoded picture every step-th pixel of every step-th row is kept.
REGIONS = [("whole", 0, 0, 512, 512, 7), ("odd", 176, 64, 104, 72, 1), ("small", 200, 80, 64, 40, 1)]


def read_bf16(path):
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:end]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", (name, entry["dtype"])
        first, last = entry["data_offsets"]
        halves = np.frombuffer(data[end + first : end + last], "<u2").astype("<u4")
        tensors[name] = torch.from_numpy((halves << 16).view("<f4").astype(np.float64).reshape(entry["shape"]))
    return tensors


class Layers:
    """Applies the layers of an nn.Sequential by their numbers."""

    def __init__(self, tensors):
        self.tensors = tensors

    def conv(self, x, name, stride=1):
        return F.conv2d(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), stride=stride, padding=1)

    def block(self, x, name):
        y = F.relu(self.conv(x, f"{name}.conv.0"))
        y = F.relu(self.conv(y, f"{name}.conv.2"))
        return F.relu(self.conv(y, f"{name}.conv.4") + x)


def encode(layers, x):
    x = layers.block(layers.conv(x, 0), 1)
    for first in (2, 6, 10):
        x = layers.conv(x, first, stride=2)
        for i in range(first + 1, first + 4):
            x = layers.block(x, i)
    return layers.conv(x, 14)


def decode(layers, x):
    x = F.relu(layers.conv(3 * torch.tanh(x / 3), 1))
    for first in (3, 8, 13):
        for i in range(first, first + 3):
            x = layers.block(x, i)
        x = layers.conv(x.repeat_interleave(2, 2).repeat_interleave(2, 3), first + 4)
    return layers.conv(layers.block(x, 18), 19).clamp(0, 1)


def rows_of_pixels(x):
    """[1, channels, height, width] to [height, width, channels], as files keep them."""
    return x[0].permute(1, 2, 0).contiguous().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("encoder", "decoder", "picture"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    encoder, decoder = (Layers(read_bf16(path)) for path in (options.encoder, options.decoder))
    pixels = np.asarray(Image.open(options.picture).convert("RGB"), np.float64) / 255
    options.out.mkdir(parents=True, exist_ok=True)

    lines = ["# What TAESD makes of regions of a picture, in float64, rounded to f32 on writing. Made by", "#"]
    lines += ["#     training/autoencode/reference.py --encoder … --decoder … --picture … tests/cases/taesd", "#"]
    lines += ["# <region>.latents.f32 is [height / 8, width / 8, 4], <region>.picture.f32 [rows, columns, 3]: every step-th"]
    lines += ["# pixel of every step-th row of the decoded picture, 0 to 1. Both little-endian."]
    lines += [f'made_with = "torch {torch.__version__}, float64, CPU"', ""]
    for name in ("picture", "encoder", "decoder"):
        path = getattr(options, name)
        lines += [f"[{name}]", f'file = "{path.name}"', f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"', ""]
    with torch.no_grad():
        for name, left, top, width, height, step in REGIONS:
            original = pixels[top : top + height, left : left + width]
            latents = encode(encoder, torch.from_numpy(original.copy()).permute(2, 0, 1)[None])
            picture = rows_of_pixels(decode(decoder, latents))
            psnr = -10 * np.log10(np.mean((picture - original) ** 2))
            rows_of_pixels(latents).astype("<f4").tofile(options.out / f"{name}.latents.f32")
            np.ascontiguousarray(picture[::step, ::step]).astype("<f4").tofile(options.out / f"{name}.picture.f32")
            lines += ["[[region]]", f'name = "{name}"', f"left = {left}", f"top = {top}", f"width = {width}"]
            lines += [f"height = {height}", f"step = {step}", f"psnr_db = {psnr:.6f}", ""]
            print(f"{name}: {width} x {height}, {psnr:.3f} dB, latents {latents.min():.3f} to {latents.max():.3f}")
    (options.out / "case.toml").write_text("\n".join(lines[:-1]) + "\n")


if __name__ == "__main__":
    main()
