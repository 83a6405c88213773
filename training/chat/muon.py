"""Muon: momentum, orthogonalised by Newton-Schulz (https://kellerjordan.github.io/posts/muon/), for the matrices of the blocks."""

import torch


class Muon(torch.optim.Optimizer):
    """Steps along the nearest semi-orthogonal matrix to the momentum; same-shaped matrices are done as one batch."""

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.05):
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                by_shape.setdefault(p.shape, []).append(p)
            for shape, parameters in by_shape.items():
                for p in parameters:
                    if not self.state[p]:
                        self.state[p]["momentum"] = torch.zeros_like(p)
                grads, moments = [p.grad for p in parameters], [self.state[p]["momentum"] for p in parameters]
                torch._foreach_lerp_(moments, grads, 1 - group["momentum"])
                updates = torch._foreach_lerp(grads, moments, group["momentum"])
                # 0.2 sqrt(max(shape)) gives updates the size AdamW's have, so one learning rate scale fits both.
                size = 0.2 * max(shape) ** 0.5 * group["lr"]
                steps = orthogonal(torch.stack(updates)).to(parameters[0].dtype)
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, list(steps.unbind()), alpha=-size)


def orthogonal(m, rounds=5):
    """[n, rows, columns] -> the same with singular values near 1; in bfloat16 on a GPU, which is exact enough."""
    x = m.bfloat16() if m.is_cuda else m
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x
