"""What `torch.compile` must be told, so that a model is compiled once."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

# einops notes each kind of tensor when it first meets one; seen by the compiler, that note
# is a change of the program, after which everything is compiled again.
for kind in (torch.Tensor, torch.nn.Parameter):
    rearrange(kind(torch.zeros(1)), "a -> a")


def mark_batch(*inputs: Tensor) -> None:
    """Say that the first axis of each tensor is a batch of any size, before a compiled model is called.

    Without it the compiler takes the first batch's size, or another axis of the same
    size, for a constant and compiles again for the smaller last batch. A batch of a
    single clip is always a case of its own to the compiler.
    """
    for tensor in inputs:
        if len(tensor) > 1:
            torch._dynamo.mark_dynamic(tensor, 0)
