"""Edges of a stream's graph: which nodes a node attends to.

Node i is joined to itself, to the nodes that touch it on the grid, and to the k most
similar others: neither itself nor a node that touches it, so that the degree is the same
for every clip and similar edges reach where adjacent ones do not.

Candidates for similar nodes: with `scope = "window"` and a stream that has space, the
nodes of frames at most `frame_window` away (cost linear in the frames; on a single frame
that is the whole map); with `scope = "clip"`, or on a chain of segments without space,
every node.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gasm_cast.config import GraphConfig
from gasm_cast.geometry import Grid, adjacency, adjacent_offsets, neighbours

SIMILARITY_STEPS = 2**15
"""Similarities are ranked in steps of 1 / SIMILARITY_STEPS, so that rounding noise makes no order."""
_NEVER = torch.iinfo(torch.int32).min


class Edges(nn.Module):
    """Edge rule of one stream: the fixed edges, and the search for similar nodes.

    Args:
        grid: Grid of the nodes, N in all.
        config: Kinds of edges, scope and window. `edges = "dense"` joins all nodes.
        num_similar: Similar nodes k sought for each node.

    Attributes:
        fixed: The node itself, then the nodes that touch it, `[N, A]`; the node itself
            where an offset leaves the grid.
        fixed_valid: False where an offset leaves the grid, `[N, A]`.
        num_similar: Similar nodes listed for each node; 0 if the rule has none.
        degree: Length K of a node's list.

    Raises:
        ValueError: if more nodes are candidates than the order of ties can hold.
    """

    fixed: Tensor
    fixed_valid: Tensor
    fixed_touches: Tensor
    is_fixed: Tensor
    is_inside: Tensor

    def __init__(self, grid: Grid, config: GraphConfig, num_similar: int) -> None:
        super().__init__()
        offsets = np.zeros((1, 3), dtype=np.int64)
        if config.edges in ("adjacent", "adjacent+similar"):
            offsets = np.concatenate([offsets, adjacent_offsets(grid)])
        fixed, valid = neighbours(grid, offsets)
        touches = valid & (offsets != 0).any(1)
        if config.edges == "dense":
            fixed = np.tile(np.arange(grid.num_tokens), (grid.num_tokens, 1))
            valid, touches = np.ones_like(fixed, dtype=bool), adjacency(grid)
        self.register_buffer("fixed", torch.from_numpy(fixed), persistent=False)
        self.register_buffer("fixed_valid", torch.from_numpy(valid), persistent=False)
        self.register_buffer("fixed_touches", torch.from_numpy(touches), persistent=False)

        # Candidates are sought block by block: a block is a frame, or the whole clip.
        has_space = grid.num_rows * grid.num_cols > 1
        windowed = config.scope == "window" and has_space
        self.num_blocks = grid.num_frames if windowed else 1
        self.block_size = grid.num_tokens // self.num_blocks
        self.reach = min(config.frame_window, self.num_blocks - 1)
        num_candidates = (2 * self.reach + 1) * self.block_size
        if num_candidates > SIMILARITY_STEPS:
            raise ValueError(
                f"a node of a {grid} grid has {num_candidates} candidates for similar nodes, more than "
                f"{SIMILARITY_STEPS}; use scope = 'window' or a smaller frame_window"
            )
        wanted = num_similar if config.edges in ("similar", "adjacent+similar") else 0
        self.num_similar = min(wanted, grid.num_tokens - 1, num_candidates)
        self.degree = fixed.shape[1] + self.num_similar

        block = np.arange(self.num_blocks)[:, None] + np.arange(-self.reach, self.reach + 1)
        inside = (block >= 0) & (block < self.num_blocks)
        self.register_buffer("is_inside", torch.from_numpy(inside), persistent=False)
        # Which candidates are fixed edges is the same in every block: seen from the middle one.
        around = Grid(2 * self.reach + 1, grid.num_rows, grid.num_cols) if windowed else grid
        middle = slice(self.reach * self.block_size, (self.reach + 1) * self.block_size)
        target, valid = (array[middle] for array in neighbours(around, offsets))
        is_fixed = np.zeros((self.block_size, num_candidates), dtype=bool)
        is_fixed[np.nonzero(valid)[0], target[valid]] = True
        self.register_buffer("is_fixed", torch.from_numpy(is_fixed), persistent=False)

    def forward(
        self, z: Float[Tensor, "batch nodes width"]
    ) -> tuple[Int[Tensor, "batch nodes degree"], Bool[Tensor, "batch nodes degree"]]:
        """List the nodes that each node is joined to: the fixed ones, then the similar ones.

        Args:
            z: Unit vectors; the similarity of two nodes is their product. No gradient flows.

        Returns:
            Node indices, and whether they are edges. A list with fewer than K edges is padded:
            its last entries name the node itself and are no edges.
        """
        fixed = self.fixed.expand(len(z), -1, -1)
        valid = self.fixed_valid.expand(len(z), -1, -1)
        if self.num_similar == 0:
            return fixed, valid
        similar, similar_valid = self._similar(z.detach())
        return torch.cat([fixed, similar], dim=2), torch.cat([valid, similar_valid], dim=2)

    def _similar(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Most similar candidates of each node, best first, ties by index, `[B, N, k]`."""
        similarity = self._block_similarity(z)
        _, blocks, cells, candidates = similarity.shape
        # One integer holds rank and tie-break, so that the order is strict and the same everywhere.
        position = torch.arange(candidates, device=z.device, dtype=torch.int32)
        rank = (similarity * SIMILARITY_STEPS).round().to(torch.int32) * SIMILARITY_STEPS
        rank = rank + (SIMILARITY_STEPS - 1 - position)
        inside = self.is_inside.repeat_interleave(self.block_size, dim=1)
        rank = rank.masked_fill(self.is_fixed | ~inside[:, None, :], _NEVER)
        best, local = rank.topk(self.num_similar, dim=-1)
        first = (torch.arange(blocks, device=z.device) - self.reach) * self.block_size
        index = rearrange(local + first[:, None, None], "b f c k -> b (f c) k")
        valid = rearrange(best != _NEVER, "b f c k -> b (f c) k")
        itself = torch.arange(blocks * cells, device=z.device)[:, None]
        return torch.where(valid, index, itself), valid

    def _block_similarity(self, z: Tensor) -> Tensor:
        """Products of the nodes of each block with their candidates, `[B, blocks, cells, candidates]`.

        Candidates are the nodes of the blocks around, in order; blocks beyond the clip's
        ends give zeros. Never a matrix over the whole clip, unless the clip is one block.
        """
        blocks = rearrange(z, "b (f c) w -> b f c w", f=self.num_blocks)
        if self.reach == 0:
            return blocks @ blocks.mT
        padded = F.pad(blocks, (0, 0, 0, 0, self.reach, self.reach))
        around = padded.unfold(1, 2 * self.reach + 1, 1)  # [batch, blocks, cells, width, frames]
        return blocks @ rearrange(around, "b f c w r -> b f w (r c)")
