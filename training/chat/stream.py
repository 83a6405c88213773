"""The rows that are being written, on the device: a stream that grows while the model trains on what is there."""

import numpy as np
import torch

from model import IGNORE


class Stream:
    """int16 ids (negative where the loss does not count) in one buffer on the device, filled shard by shard."""

    def __init__(self, device, capacity=1_500_000_000):
        self.device, self.capacity = device, capacity
        self.ids = torch.zeros(0, dtype=torch.int16, device=device)
        self.size, self.read = 0, set()

    def take(self, paths):
        """Appends the shards that it does not have yet."""
        for path in paths:
            if path in self.read:
                continue
            self.read.add(path)
            part = torch.from_numpy(np.fromfile(path, "<i2"))
            if self.size + len(part) > self.capacity:
                continue
            if self.size + len(part) > len(self.ids):  # twice the room, so that growing costs little
                bigger = torch.zeros(min(self.capacity, max(2 * len(self.ids), self.size + len(part), 1 << 20)), dtype=torch.int16, device=self.device)
                bigger[: self.size] = self.ids[: self.size]
                self.ids = bigger
            self.ids[self.size : self.size + len(part)] = part.to(self.device)
            self.size += len(part)

    def windows(self, rows, length, generator):
        """-> ids, targets [rows, length] of windows at random places; a target that does not count is IGNORE."""
        at = torch.randint(self.size - length - 1, (rows,), device=self.device, generator=generator)
        w = self.ids[at[:, None] + torch.arange(length + 1, device=self.device)].long()
        ids = torch.where(w < 0, -w - 1, w)
        return ids[:, :-1].contiguous(), torch.where(w[:, 1:] < 0, IGNORE, w[:, 1:]).contiguous()
