"""Documents to rows of ids with a mask: the loss counts texts and what the assistant says, not what it is told."""

import os

import numpy as np

LONGEST = 1000  # ids; a longer row would not fit the context


def text_row(vocabulary, text):
    """-> (ids, counts): one number each per id; counts is 1 where the id is to be predicted."""
    ids = [vocabulary.bos, *vocabulary.encode(text), vocabulary.eos]
    return ids, [0] + [1] * (len(ids) - 1)


def chat_row(vocabulary, turns, system=None):
    ids, counts = [vocabulary.bos], [0]
    if system:
        ids += vocabulary.turn("system", system)
        counts += [0] * (len(ids) - 1)
    for i, text in enumerate(turns):
        turn = vocabulary.turn("assistant" if i % 2 else "user", text)
        ids += turn
        counts += [0] + [i % 2] * (len(turn) - 1)
    return ids, counts


def row(vocabulary, system, body):
    return text_row(vocabulary, body) if isinstance(body, str) else chat_row(vocabulary, body, system)


class Shard:
    """Rows one after the other, written as int16: id, or -id - 1 where it does not count."""

    def __init__(self):
        self.parts, self.size = [], 0

    def add(self, ids, counts):
        if len(ids) <= LONGEST:
            ids = np.array(ids, np.int16)
            self.parts.append(np.where(np.array(counts) > 0, ids, -ids - 1).astype("<i2"))
            self.size += len(ids)

    def write(self, path):
        """Whole or not at all: the trainer reads while others write."""
        np.concatenate(self.parts).tofile(f"{path}.partial")
        os.replace(f"{path}.partial", path)
