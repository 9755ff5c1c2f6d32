"""Paired comparison of models on the same clips, each trained with one or more seeds.

Two accuracies on the same clips share most of their luck: whether these clips are easy.
Differences clip by clip cancel it, so that they are told apart with far fewer clips than
two separate intervals would need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from gasm_cast.annotations import same_classes
from gasm_cast.errors import InputError
from gasm_cast.evaluation.intervals import Interval, mcnemar, paired_bootstrap, paired_t
from gasm_cast.predictions import Predictions


@dataclass(frozen=True)
class Side:
    """One model: its name, and the predictions of its runs, which differ in their seed only."""

    name: str
    runs: tuple[Predictions, ...]


@dataclass(frozen=True)
class Comparison:
    """How much better the first model is than the second, on the clips that all runs scored."""

    name_a: str
    name_b: str
    num_seeds_a: int
    num_seeds_b: int
    ids: tuple[str, ...]
    """The clips that count: scored by every run of both."""
    num_left_out: int
    """Clips that only some of the runs scored."""
    accuracy_a: float
    accuracy_b: float
    """Mean over clips and seeds."""
    interval: Interval
    """95% interval of the difference."""
    p_value: float
    """Two-sided, that the models are equally good."""
    test: Literal["McNemar", "t"]
    """What gives interval and p-value; see `compare`."""
    right_a: Float[np.ndarray, " clips"]
    right_b: Float[np.ndarray, " clips"]
    """Share of the seeds that get each clip right."""

    @property
    def difference(self) -> float:
        """Accuracy of the first less that of the second."""
        return self.accuracy_a - self.accuracy_b

    @property
    def only_a(self) -> tuple[str, ...]:
        """Clips that the first model gets right in more of its seeds."""
        return tuple(
            clip for clip, better in zip(self.ids, self.right_a > self.right_b, strict=True) if better
        )

    @property
    def only_b(self) -> tuple[str, ...]:
        """Clips that the second model gets right in more of its seeds."""
        return tuple(
            clip for clip, better in zip(self.ids, self.right_b > self.right_a, strict=True) if better
        )

    @property
    def record(self) -> dict[str, Any]:
        """The comparison in JSON's types; tables are made of it."""
        return {
            "a": self.name_a,
            "b": self.name_b,
            "num_seeds_a": self.num_seeds_a,
            "num_seeds_b": self.num_seeds_b,
            "num_clips": len(self.ids),
            "num_left_out": self.num_left_out,
            "accuracy_a": self.accuracy_a,
            "accuracy_b": self.accuracy_b,
            "difference": self.difference,
            "interval": self.interval,
            "p_value": self.p_value,
            "test": self.test,
            "num_only_a": len(self.only_a),
            "num_only_b": len(self.only_b),
        }


def compare(a: Side, b: Side) -> Comparison:
    """Compare two models on the same clips.

    With several seeds interval and p-value are Student's over clips and seeds
    (`intervals.paired_t`): a test that took the seeds as given would call the luck of three
    trainings a difference between models. With one run each there is no such luck to see:
    the interval is the bootstrap's over clips, the p-value McNemar's exact one.

    Raises:
        InputError: if the runs know other classes, disagree about a clip's label, or have
            no clip in common.
    """
    runs = [*a.runs, *b.runs]
    ids = _common_ids(runs)
    right_a = np.stack([_right(run, ids) for run in a.runs])
    right_b = np.stack([_right(run, ids) for run in b.runs])
    mean_a, mean_b = right_a.mean(axis=0), right_b.mean(axis=0)
    single = len(runs) == 2
    if single:
        interval = paired_bootstrap(mean_a - mean_b)
        p_value = mcnemar(int((mean_a > mean_b).sum()), int((mean_b > mean_a).sum()))
    else:
        interval, p_value = paired_t(right_a, right_b)
    return Comparison(
        name_a=a.name,
        name_b=b.name,
        num_seeds_a=len(a.runs),
        num_seeds_b=len(b.runs),
        ids=ids,
        num_left_out=len(set().union(*(run.ids for run in runs))) - len(ids),
        accuracy_a=float(mean_a.mean()),
        accuracy_b=float(mean_b.mean()),
        interval=interval,
        p_value=p_value,
        test="McNemar" if single else "t",
        right_a=mean_a,
        right_b=mean_b,
    )


def _common_ids(runs: Sequence[Predictions]) -> tuple[str, ...]:
    """Clips that all runs scored, in the order of the first; their labels must agree."""
    first = runs[0]
    labels = dict(zip(first.ids, first.labels.tolist(), strict=True))
    common = set(first.ids)
    for run in runs[1:]:
        same_classes(first.class_names, run.class_names, where="a compared run")
        common &= set(run.ids)
        for clip, label in zip(run.ids, run.labels.tolist(), strict=True):
            if labels.get(clip, label) != label:
                raise InputError(
                    f"clip {clip} is of class {labels[clip]} in one run and {label} in another; "
                    "evaluate both with the same annotations"
                )
    if not common:
        raise InputError("the runs have no clip in common; evaluate them on the same split")
    return tuple(clip for clip in first.ids if clip in common)


def _right(run: Predictions, ids: Sequence[str]) -> Float[np.ndarray, " clips"]:
    right = dict(zip(run.ids, run.correct.tolist(), strict=True))
    return np.array([right[clip] for clip in ids], dtype=np.float64)
