"""Muon: momentum whose matrix updates are made orthogonal (K. Jordan et al. 2024,
kellerjordan.github.io/posts/muon).

torch.optim.Muon does the same in bfloat16, which a CPU without bfloat16 units takes seven times as long for;
this one is float32 and handles all matrices of one shape at once. For hidden matrices only: embeddings and
vectors belong to AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

A, B, C = (
    3.4445,
    -4.7750,
    2.0315,
)  # quintic that pushes singular values towards 1 within five steps (the post, section "Tuning")


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum.

    The update of an [out, in] matrix has singular values near max(1, out / in) ** 0.5.
    """

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.1
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for shape, matrices in shapes.items():
                grads = torch.stack([p.grad for p in matrices])
                mean = self.state[matrices[0]].setdefault("mean", torch.zeros_like(grads))
                mean.lerp_(grads, 1 - group["momentum"])
                updates = (
                    orthogonal(grads.lerp(mean, group["momentum"])) * max(1.0, shape[0] / shape[1]) ** 0.5
                )
                for p, update in zip(matrices, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["decay"]).sub_(update, alpha=group["lr"])


def orthogonal(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return [n, rows, columns] with the same singular vectors and singular values near 1 (Newton-Schulz, odd
    quintic).
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = A * x + (B * square + C * square @ square) @ x
    return x.mT if tall else x
