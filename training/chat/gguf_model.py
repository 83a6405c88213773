"""What a GGUF of ours holds, back in PyTorch: weights dequantized, vocabulary, greedy and sampled continuation.

Written against the file alone, so that it checks the export instead of trusting it.
"""

import gguf
import numpy as np
import torch

from model import Llama, Shape, rotary_table
from tokenizer import Vocabulary


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
    tokens = reader.fields["tokenizer.ggml.tokens"]
    vocabulary = Vocabulary([bytes(tokens.parts[i]).decode("utf8") for i in tokens.data], reader.fields["tokenizer.ggml.scores"].contents(),
                            reader.fields["tokenizer.ggml.token_type"].contents())
    vocabulary.bos = reader.fields["tokenizer.ggml.bos_token_id"].contents()
    vocabulary.eos = reader.fields["tokenizer.ggml.eos_token_id"].contents()
    return model, vocabulary


@torch.no_grad()
def continue_ids(model, ids, count, stops, temperature=0.0, seed=0):
    """Up to `count` more ids, and for each the margin between the best and the second best logit. No cache: the whole text each time.

    stops: ids that end it and are not returned.
    """
    draw = torch.Generator().manual_seed(seed)
    ids, made, margins = list(ids), [], []
    while len(made) < count and len(ids) < model.shape.context:
        logits = model(torch.tensor([ids]))[0, -1].double()
        best = logits.topk(2).values
        if temperature > 0:
            chosen = torch.multinomial((logits / temperature).softmax(0), 1, generator=draw).item()
        else:
            chosen = logits.argmax().item()
        if chosen in stops:
            break
        made.append(chosen)
        margins.append((best[0] - best[1]).item())
        ids.append(chosen)
    return made, margins
