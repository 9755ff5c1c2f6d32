from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gasm_cast.config import GraphConfig
from gasm_cast.geometry import Grid, adjacency
from gasm_cast.graph import Edges


def unit_vectors(grid: Grid, batch: int = 2) -> Tensor:
    torch.manual_seed(0)
    return F.normalize(torch.randn(batch, grid.num_tokens, 6), dim=-1)


def make_edges(grid: Grid, num_similar: int = 3, **config: Any) -> Edges:
    return Edges(grid, GraphConfig(**config), num_similar)


def test_lists_hold_the_node_then_what_touches_it_then_the_most_similar_others() -> None:
    grid = Grid(1, 4, 4)
    z = unit_vectors(grid)
    neighbours, is_edge = make_edges(grid)(z)
    touching = torch.from_numpy(adjacency(grid))
    similarity = (z @ z.mT).masked_fill(touching | torch.eye(16, dtype=torch.bool), -2)
    for node in range(16):
        chosen = neighbours[0, node][is_edge[0, node]].tolist()
        near = touching[node].nonzero().flatten().tolist()
        similar = similarity[0, node].topk(3).indices.tolist()
        assert chosen == [node, *near, *similar]


def test_no_node_is_listed_twice() -> None:
    for grid in (Grid(1, 5, 5), Grid(4, 3, 3), Grid(6, 1, 1), Grid(2, 1, 2), Grid(1, 1, 1)):
        neighbours, is_edge = make_edges(grid)(unit_vectors(grid))
        for listed, valid in zip(neighbours.flatten(0, 1), is_edge.flatten(0, 1), strict=True):
            chosen = listed[valid].tolist()
            assert len(set(chosen)) == len(chosen)


def test_ties_go_to_the_lower_index() -> None:
    grid = Grid(1, 4, 4)
    alike = F.normalize(torch.ones(1, 16, 6), dim=-1)
    neighbours, _ = make_edges(grid, edges="similar")(alike)
    assert neighbours[0, 0].tolist() == [0, 1, 2, 3]
    assert neighbours[0, 9].tolist() == [9, 0, 1, 2]


def test_rounding_noise_makes_no_order() -> None:
    grid = Grid(1, 6, 6)
    alike = F.normalize(torch.full((1, 36, 6), 0.3) + 1e-7 * torch.rand(1, 36, 6), dim=-1)
    neighbours, _ = make_edges(grid, edges="similar")(alike)
    assert neighbours[0, 20].tolist() == [20, 0, 1, 2]


@pytest.mark.parametrize(("frame_window", "frames"), [(0, {2}), (1, {1, 2, 3}), (2, {0, 1, 2, 3, 4})])
def test_similar_nodes_lie_within_the_window(frame_window: int, frames: set[int]) -> None:
    grid = Grid(6, 3, 3)
    neighbours, is_edge = make_edges(grid, 100, edges="similar", frame_window=frame_window)(
        unit_vectors(grid)
    )
    in_frame_two = slice(18, 27)
    found = neighbours[0, in_frame_two][is_edge[0, in_frame_two]] // 9
    assert set(found.tolist()) == frames


def test_a_chain_of_segments_has_no_window() -> None:
    grid = Grid(8, 1, 1)
    neighbours, is_edge = make_edges(grid, 100, edges="similar", frame_window=1)(unit_vectors(grid))
    assert is_edge.all()
    assert set(neighbours[0, 0].tolist()) == set(range(8))


def test_the_whole_clip_is_searched_on_request() -> None:
    grid = Grid(6, 2, 2)
    z = unit_vectors(grid)
    z[0, 23] = z[0, 0]  # the node most like the first lies in the last frame
    assert make_edges(grid, scope="clip")(z)[0][0, 0, -3] == 23
    assert 23 not in make_edges(grid)(z)[0][0, 0].tolist()


def test_lists_that_are_too_short_are_padded_with_the_node_itself() -> None:
    grid = Grid(1, 1, 3)
    neighbours, is_edge = make_edges(grid, 2)(unit_vectors(grid))
    # The middle node touches both others: no candidate is left.
    assert neighbours[0, 1][is_edge[0, 1]].tolist() == [1, 0, 2]
    assert neighbours[0, 1][~is_edge[0, 1]].eq(1).all()


def test_dense_lists_all_nodes_in_order() -> None:
    grid = Grid(2, 2, 2)
    edges = make_edges(grid, edges="dense")
    neighbours, is_edge = edges(unit_vectors(grid))
    assert neighbours[1, 5].tolist() == list(range(8))
    assert is_edge.all()
    assert edges.fixed_touches.tolist() == adjacency(grid).tolist()


def test_candidates_that_ties_cannot_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"40000 candidates .* use scope = 'window'"):
        make_edges(Grid(4, 100, 100), scope="clip")


def test_memory_of_the_window_grows_with_the_frames_and_not_with_their_square() -> None:
    def largest(num_frames: int) -> int:
        grid = Grid(num_frames, 4, 4)
        sizes: list[int] = []

        class Watch(torch.overrides.TorchFunctionMode):
            def __torch_function__(
                self, function: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                result = function(*args, **(kwargs or {}))
                if isinstance(result, Tensor):
                    sizes.append(result.numel())
                return result

        edges = make_edges(grid)
        z = unit_vectors(grid, batch=1)
        with Watch():
            edges(z)
        return max(sizes)

    assert largest(40) < 2.5 * largest(20)
