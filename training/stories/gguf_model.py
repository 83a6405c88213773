"""What a GGUF of ours holds, back in PyTorch: weights dequantized, vocabulary, greedy and sampled continuation.

Written against the file alone, so that it checks the export instead of trusting it.
"""
import gguf
import numpy as np
import torch

from model import Llama, Shape, rotary_table

SPACE = "▁"  # SentencePiece's word boundary


class Vocabulary:
    """SentencePiece BPE as GGUF files describe it: join the neighbours whose union has the best score, until none is left."""

    def __init__(self, fields):
        self.pieces = [bytes(fields["tokenizer.ggml.tokens"].parts[i]).decode("utf8") for i in fields["tokenizer.ggml.tokens"].data]
        self.scores = fields["tokenizer.ggml.scores"].contents()
        self.types = fields["tokenizer.ggml.token_type"].contents()
        self.ids = {piece: i for i, (piece, kind) in enumerate(zip(self.pieces, self.types)) if kind == gguf.TokenType.NORMAL}
        self.byte_ids = {int(p[3:5], 16): i for i, (p, kind) in enumerate(zip(self.pieces, self.types)) if kind == gguf.TokenType.BYTE}
        self.bos = fields["tokenizer.ggml.bos_token_id"].contents()
        self.eos = fields["tokenizer.ggml.eos_token_id"].contents()

    def encode(self, text):
        """Ids of `text`, without the leading bos."""
        if not text:
            return []
        parts = list(SPACE + text.replace(" ", SPACE))
        while True:
            joins = [(self.scores[self.ids[a + b]], -i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in self.ids]
            if not joins:
                break
            at = -max(joins)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        ids = []
        for part in parts:
            ids += [self.ids[part]] if part in self.ids else [self.byte_ids[b] for b in part.encode("utf8")]
        return ids

    def decode(self, ids):
        out = bytearray()
        for i in ids:
            if self.types[i] == gguf.TokenType.BYTE:
                out.append(int(self.pieces[i][3:5], 16))
            elif self.types[i] == gguf.TokenType.NORMAL:
                out += self.pieces[i].replace(SPACE, " ").encode("utf8")
        return out.decode("utf8", "replace").removeprefix(" ")


def load(path, dtype=torch.float32):
    """-> (model in eval mode, Vocabulary)."""
    reader = gguf.GGUFReader(path)
    key = lambda name: reader.fields[f"llama.{name}"].contents()
    shape = Shape(vocab=key("vocab_size"), dim=key("embedding_length"), layers=key("block_count"), heads=key("attention.head_count"),
                  kv_heads=key("attention.head_count_kv"), hidden=key("feed_forward_length"), context=key("context_length"),
                  rope_base=key("rope.freq_base"), norm_eps=key("attention.layer_norm_rms_epsilon"))
    model = Llama(shape)
    weights = {t.name: torch.from_numpy(np.array(gguf.dequantize(t.data, t.tensor_type), np.float32)) for t in reader.tensors}
    model.load_state_dict(weights)
    model = model.to(dtype).eval()
    model.cos, model.sin = rotary_table(shape, shape.context, dtype)
    return model, Vocabulary(reader.fields)


@torch.no_grad()
def continue_ids(model, ids, count, stop, temperature=0.0, seed=0):
    """Up to `count` more ids, and for each the margin between the best and the second best logit. No cache: the whole text each time."""
    draw = torch.Generator().manual_seed(seed)
    ids, made, margins = list(ids), [], []
    while len(made) < count and len(ids) < model.shape.context:
        logits = model(torch.tensor([ids]))[0, -1].double()
        best = logits.topk(2).values
        if temperature > 0:
            chosen = torch.multinomial((logits / temperature).softmax(0), 1, generator=draw).item()
        else:
            chosen = logits.argmax().item()
        if chosen == stop:
            break
        made.append(chosen)
        margins.append((best[0] - best[1]).item())
        ids.append(chosen)
    return made, margins
