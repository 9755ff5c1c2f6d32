import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gasm_cast.errors import InputError
from gasm_cast.store import BatchSampler

splits = st.tuples(
    st.integers(1, 400),  # samples
    st.integers(2, 40),  # batch size
    st.integers(1, 6),  # processes
    st.integers(0, 3),  # epoch
).filter(lambda split: split[0] >= split[2])


@given(splits, st.booleans())
def test_an_epoch_takes_each_sample_once_in_even_steps(
    split: tuple[int, int, int, int], shuffle: bool
) -> None:
    num_samples, batch_size, world_size, epoch = split
    samplers = [
        BatchSampler(
            num_samples=num_samples, batch_size=batch_size, rank=rank, world_size=world_size, shuffle=shuffle
        )
        for rank in range(world_size)
    ]
    epochs = [sampler.epoch(epoch) for sampler in samplers]
    assert {len(steps) for steps in epochs} == {samplers[0].num_steps}
    sizes = np.array([[len(step) for step in steps] for steps in epochs])
    assert sizes.min() >= 1
    assert sizes.max() <= batch_size
    assert (sizes.max(0) - sizes.min(0)).max() <= 1  # processes of a step
    assert np.ptp(sizes.sum(0)) <= 1  # steps
    np.testing.assert_array_equal(
        np.sort(np.concatenate([np.concatenate(steps) for steps in epochs])), np.arange(num_samples)
    )


@given(splits)
def test_many_processes_see_what_one_sees(split: tuple[int, int, int, int]) -> None:
    num_samples, batch_size, world_size, epoch = split
    one = BatchSampler(num_samples=num_samples, batch_size=batch_size * world_size, seed=5)
    many = [
        BatchSampler(num_samples=num_samples, batch_size=batch_size, seed=5, rank=r, world_size=world_size)
        for r in range(world_size)
    ]
    together = [np.concatenate(parts) for parts in zip(*(s.epoch(epoch) for s in many), strict=True)]
    for step, expected in zip(together, one.epoch(epoch), strict=True):
        np.testing.assert_array_equal(step, expected)


def test_the_order_is_the_same_everywhere_and_for_ever() -> None:
    sampler = BatchSampler(num_samples=10, batch_size=4, seed=7)
    assert [step.tolist() for step in sampler.epoch(0)] == [[8, 4, 1], [6, 3, 2], [7, 5, 9, 0]]
    assert [step.tolist() for step in sampler.epoch(1)] == [[3, 9, 1], [6, 2, 5], [4, 8, 0, 7]]


def test_epochs_and_seeds_differ() -> None:
    orders = [
        np.concatenate(BatchSampler(num_samples=100, batch_size=10, seed=seed).epoch(epoch)).tolist()
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_resumes_in_the_middle_of_an_epoch() -> None:
    sampler = BatchSampler(num_samples=103, batch_size=10, seed=1)
    whole, rest = sampler.epoch(2), sampler.epoch(2, start_step=4)
    assert len(rest) == len(whole) - 4
    np.testing.assert_array_equal(np.concatenate(rest), np.concatenate(whole[4:]))
    assert sampler.epoch(2, start_step=sampler.num_steps) == []


def test_views_belong_to_samples_not_to_processes() -> None:
    def drawn(rank: int, world_size: int) -> dict[int, int]:
        sampler = BatchSampler(
            num_samples=90, batch_size=24 // world_size, seed=3, rank=rank, world_size=world_size
        )
        samples, views = np.concatenate(sampler.epoch(1)), np.concatenate(sampler.views(1, 3))
        return dict(zip(samples.tolist(), views.tolist(), strict=True))

    one = drawn(0, 1)
    assert one == drawn(0, 2) | drawn(1, 2)
    assert set(one.values()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("num_samples", "batch_size", "world_size"),
    [(0, 4, 1), (1, 4, 2), (3, 1, 2)],
)
def test_a_process_without_work_is_refused(num_samples: int, batch_size: int, world_size: int) -> None:
    with pytest.raises(InputError, match="a process would have nothing to do"):
        BatchSampler(num_samples=num_samples, batch_size=batch_size, world_size=world_size)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="rank must lie in"):
        BatchSampler(num_samples=9, batch_size=3, rank=2, world_size=2)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        BatchSampler(num_samples=9, batch_size=0)
    with pytest.raises(InputError, match="a seed must be at least 0, got -1"):
        BatchSampler(num_samples=9, batch_size=3, seed=-1)
