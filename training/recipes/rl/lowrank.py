"""LoRA in one pass over the outputs of a layer, instead of PEFT's three (the product, its scaling, the sum).

PEFT computes base(x) + B(A(x)) * scaling one operation after the other; on a small model the passes over memory take as
long as the products. Here the low-rank product is added while it is computed, forwards and backwards. The numbers are
those of PEFT up to rounding, and what is not plain LoRA on a plain layer of one type stays with PEFT.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch import Tensor, nn


class _LowRank(torch.autograd.Function):
    """y = x W' + bias + scaling x A' B' of x [N, in], with W frozen; A is [r, in], B [out, r]."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float
    ) -> Tensor:
        inner = x @ a.t()
        ctx.save_for_backward(x, weight, a, b, inner)
        ctx.scaling = scaling
        return summed(x, weight, bias, inner, b, scaling)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b, inner = ctx.saved_tensors
        (grad,) = grads
        of_inner = (grad @ b).mul_(ctx.scaling)
        of_x = (grad @ weight).addmm_(of_inner, a) if ctx.needs_input_grad[0] else None
        of_a = of_inner.t() @ x if ctx.needs_input_grad[3] else None
        of_b = (grad.t() @ inner).mul_(ctx.scaling) if ctx.needs_input_grad[4] else None
        return of_x, None, None, of_a, of_b, None


def summed(
    x: Tensor, weight: Tensor, bias: Tensor | None, inner: Tensor, b: Tensor, scaling: float
) -> Tensor:
    """Return x W' + bias + scaling inner B', [N, out]."""
    return nn.functional.linear(x, weight, bias).addmm_(inner, b.t(), alpha=scaling)


def forward(self: Linear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The forward pass of a layer that `in_one_pass` changed."""
    if self._disable_adapters or not is_plain(self, self._active_adapter[0], x):
        return Linear.forward(self, x, *args, **kwargs)
    (name,) = self._active_adapter
    weight, bias = self.base_layer.weight, self.base_layer.bias
    a, b, scaling = self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]
    flat = x.reshape(-1, x.shape[-1])
    if torch.is_grad_enabled():
        out: Tensor = _LowRank.apply(flat, weight, bias, a, b, scaling)
    else:
        out = summed(flat, weight, bias, flat @ a.t(), b, scaling)
    return out.view(*x.shape[:-1], out.shape[-1])


def is_plain(layer: Linear, name: str, x: Tensor) -> bool:
    """Whether a layer's adapter is LoRA and nothing else, computed in one type."""
    if name not in layer.lora_A or name in layer.lora_variant or layer.merged:
        return False
    a, b, dropout = layer.lora_A[name], layer.lora_B[name], layer.lora_dropout[name]
    types = {x.dtype, layer.base_layer.weight.dtype, a.weight.dtype, b.weight.dtype}
    return (
        len(types) == 1
        and b.bias is None
        and getattr(dropout, "p", 0.0) == 0.0
        and not torch.is_autocast_enabled(x.device.type)
    )


def in_one_pass(net: nn.Module) -> None:
    """Change the layers of a model that can be computed so."""
    for module in net.modules():
        if type(module) is Linear and type(module.base_layer) is nn.Linear:
            module.forward = MethodType(forward, module)
