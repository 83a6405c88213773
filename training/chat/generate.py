"""Many continuations at once, with a key-value cache: for judging, not for golden ids (gguf_model.py makes those)."""

import torch


@torch.inference_mode()
def continue_many(model, prompts, count, stops, temperature=0.0, top_k=40, seed=0, batch=32):
    """prompts: lists of ids -> [(new ids, ended)] in the same order; `count` new ids at most, fewer at the context's end.

    A stop id ends a row and is not part of it. Rows are padded on the left, and each keeps its own positions.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    results = [None] * len(prompts)
    draw = torch.Generator(device=model.cos.device).manual_seed(seed)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        for i, result in zip(rows, _batch(model, [prompts[i] for i in rows], count, set(stops), temperature, top_k, draw)):
            results[i] = result
    return results


def _batch(model, prompts, count, stops, temperature, top_k, draw):
    device, context = model.cos.device, model.shape.context
    width, n = max(map(len, prompts)), len(prompts)
    ids = torch.zeros(n, width, dtype=torch.long, device=device)
    real = torch.zeros(n, width, dtype=torch.bool, device=device)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
        real[row, width - len(prompt) :] = True
    positions = (real.long().cumsum(1) - 1).clamp(min=0)
    # A padded place reads itself, or its softmax would have nothing to read.
    mask = (torch.ones(width, width, dtype=torch.bool, device=device).tril() & real[:, None, :]) | torch.eye(width, dtype=torch.bool, device=device)
    caches = [{} for _ in model.blk]
    logits = model.step(ids, positions, mask[:, None], caches).float()
    made, ended = [[] for _ in prompts], [False] * n
    position = positions[:, -1:]
    for at in range(min(count, context - width)):
        if temperature > 0:
            kth = logits.topk(top_k).values[:, -1:]
            chosen = torch.multinomial((logits / temperature).masked_fill(logits < kth, float("-inf")).softmax(-1), 1, generator=draw)
        else:
            chosen = logits.argmax(-1, keepdim=True)
        for row, token in enumerate(chosen[:, 0].tolist()):
            if not ended[row]:
                ended[row] = token in stops
                if not ended[row]:
                    made[row].append(token)
        if all(ended) or at + 1 == min(count, context - width):
            break
        real = torch.cat((real, torch.ones(n, 1, dtype=torch.bool, device=device)), 1)
        position = position + 1
        logits = model.step(chosen, position, real[:, None, None], caches).float()
    return list(zip(made, ended))
