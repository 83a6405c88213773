"""Writes what SmolLM2-135M-Instruct makes of a text and of two questions, in float64: the numbers the engine is held to.

    python reference.py ../../www/models/SmolLM2-135M-Instruct.Q4_1.gguf ../../tests/cases/smollm2

Nothing of the engine is used. The `gguf` package reads and dequantizes the file, `tokenizers` cuts the text with the file's
vocabulary and merges, `jinja2` renders the file's chat template, and the network is written here from the papers of Llama
(arxiv.org/abs/2302.13971), RoPE (2104.09864) and grouped-query attention (2305.13245).
"""
import argparse, hashlib, json
from pathlib import Path

import gguf
import jinja2
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

QUESTIONS = ["What is the capital of France?", "Why is the sky blue?"]
ANSWER_TOKENS = 48
CONTEXT = 256  # tokens of a piece of the text; the second half of each is scored, as llama.cpp's `perplexity` does


class Llama:
    """Weights as float64, `[out, in]`; keys and values of what was read are kept."""

    def __init__(self, reader):
        key = lambda name: reader.fields[f"llama.{name}"].contents()
        self.weights = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.layers, self.eps = key("block_count"), key("attention.layer_norm_rms_epsilon")
        self.heads, self.kv_heads = key("attention.head_count"), key("attention.head_count_kv")
        self.head_dim = key("embedding_length") // self.heads
        self.frequencies = key("rope.freq_base") ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        self.forget()

    def forget(self):
        self.cache = [(np.zeros((0, self.kv_heads, self.head_dim)),) * 2 for _ in range(self.layers)]

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.weights[f"{name}.weight"]

    def rotate(self, x, positions):
        """Neighbours in pairs, as GGUF files of this family have their rows."""
        angles = positions[:, None, None] * self.frequencies
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = np.stack([even * np.cos(angles) - odd * np.sin(angles), even * np.sin(angles) + odd * np.cos(angles)], -1)
        return turned.reshape(x.shape)

    def attention(self, x, layer):
        tokens = len(x)
        project = lambda name, heads: (x @ self.weights[f"blk.{layer}.attn_{name}.weight"].T).reshape(tokens, heads, self.head_dim)
        past = len(self.cache[layer][0])
        positions = np.arange(past, past + tokens)
        queries = self.rotate(project("q", self.heads), positions)
        keys = np.concatenate([self.cache[layer][0], self.rotate(project("k", self.kv_heads), positions)])
        values = np.concatenate([self.cache[layer][1], project("v", self.kv_heads)])
        self.cache[layer] = (keys, values)
        group = self.heads // self.kv_heads
        scores = np.einsum("qhd,khd->hqk", queries, keys.repeat(group, 1)) / np.sqrt(self.head_dim)
        scores[:, np.arange(len(keys)) > positions[:, None]] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", shares, values.repeat(group, 1)).reshape(tokens, -1)
        return mixed @ self.weights[f"blk.{layer}.attn_output.weight"].T

    def feed_forward(self, x, layer):
        gate, up, down = (self.weights[f"blk.{layer}.ffn_{part}.weight"] for part in ("gate", "up", "down"))
        gated = x @ gate.T
        return (gated / (1 + np.exp(-gated)) * (x @ up.T)) @ down.T

    def logits(self, ids):
        """Of the tokens after each of `ids`, which follow what was read before. -> [len(ids), vocabulary]"""
        x = self.weights["token_embd.weight"][ids]
        for layer in range(self.layers):
            x = x + self.attention(self.norm(x, f"blk.{layer}.attn_norm"), layer)
            x = x + self.feed_forward(self.norm(x, f"blk.{layer}.ffn_norm"), layer)
        output = self.weights.get("output.weight", self.weights["token_embd.weight"])
        return self.norm(x, "output_norm") @ output.T


def tokenizer(fields):
    """`smollm`: digits one by one, then GPT-2's rule, then merges of bytes."""
    assert fields["tokenizer.ggml.model"].contents() == "gpt2" and fields["tokenizer.ggml.pre"].contents() == "smollm"
    pieces = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    made.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"].contents()
    made.add_special_tokens([AddedToken(p, special=True) for p, kind in zip(pieces, types) if kind == gguf.TokenType.CONTROL])
    return made


def log_probabilities(logits):
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def score(model, ids):
    """-> (mean negative log-likelihood in nats, tokens scored, pieces)."""
    nats = []
    pieces = len(ids) // CONTEXT
    for piece in np.array(ids[: pieces * CONTEXT]).reshape(pieces, CONTEXT):
        model.forget()
        likely = log_probabilities(model.logits(piece[:-1])[CONTEXT // 2 :])
        nats += (-likely[np.arange(len(likely)), piece[CONTEXT // 2 + 1 :]]).tolist()
    return float(np.mean(nats)), len(nats), pieces


def greedy(model, prompt, end):
    """-> (ids, by how much each led the next best, in logits)."""
    model.forget()
    ids, margins = [], []
    row = model.logits(prompt)[-1]
    while len(ids) < ANSWER_TOKENS:
        second, best = np.argsort(row)[-2:]
        if best == end:
            break
        ids.append(int(best))
        margins.append(float(row[best] - row[second]))
        row = model.logits([best])[-1]
    return ids, margins


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    reader = gguf.GGUFReader(options.file)
    field = lambda name: reader.fields[f"tokenizer.{name}"].contents()
    assert not field("ggml.add_bos_token"), "no token is put before a text of this model"
    vocabulary, model = tokenizer(reader.fields), Llama(reader)

    text_ids = vocabulary.encode((options.out / "text.txt").read_text("utf8")).ids
    nll, scored, pieces = score(model, text_ids)
    print(f"perplexity {np.exp(nll):.6f} over {scored} tokens")

    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(field("chat_template"))
    answers = []
    for question in QUESTIONS:
        prompt = template.render(messages=[{"role": "user", "content": question}], add_generation_prompt=True)
        prompt_ids = vocabulary.encode(prompt).ids
        ids, margins = greedy(model, prompt_ids, field("ggml.eos_token_id"))
        answers.append({
            "question": question,
            "prompt_ids": prompt_ids,
            "ids": ids,
            "ends": len(ids) < ANSWER_TOKENS,
            "margins": [round(margin, 4) for margin in margins],
            "text": vocabulary.decode(ids),
        })
        print(answers[-1]["text"])

    case = {
        "made_with": f"training/smollm2/reference.py, numpy {np.__version__}, float64, of the file's dequantized weights",
        "file": options.file.name,
        "sha256": hashlib.sha256(options.file.read_bytes()).hexdigest(),
        "text_ids": text_ids,
        "context": CONTEXT,
        "pieces": pieces,
        "scored_tokens": scored,
        "nll": round(nll, 9),
        "perplexity": round(float(np.exp(nll)), 7),
        "answer_tokens": ANSWER_TOKENS,
        "answers": answers,
    }
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in case.items())
    (options.out / "case.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf8")


if __name__ == "__main__":
    main()
