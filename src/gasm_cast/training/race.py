"""Many models stepping on the same batches, ranked after every epoch."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from gasm_cast.annotations import ClipTable
from gasm_cast.config import config_hash
from gasm_cast.errors import InputError
from gasm_cast.models.checkpoints import save_content
from gasm_cast.training.batches import Batch, TrainingClips
from gasm_cast.training.candidates import Candidate
from gasm_cast.training.learner import Learner, Prepared, TrainingDivergedError
from gasm_cast.training.setup import Data, build_learner
from gasm_cast.training.stacking import accumulate_together, stack_key
from gasm_cast.training.statistics import ChannelStatistics
from gasm_cast.training.validation import Accuracy, measure


@dataclass
class Entrant:
    """A candidate on its way: its learner while it runs, and its record."""

    candidate: Candidate
    learner: Learner | None
    accuracies: list[Accuracy] = field(default_factory=list)
    """On the held-out clips, after each epoch."""
    left_because: str | None = None
    """Why it no longer runs; None while it does."""

    def leave(self, reason: str) -> None:
        """Take it out and free its memory."""
        self.learner, self.left_because = None, reason

    def record(self) -> dict[str, Any]:
        """What is written about it."""
        return {
            "overrides": dict(self.candidate.overrides),
            "recipe_hash": config_hash(self.candidate.recipe),
            "held_out_top1": [accuracy.top1 for accuracy in self.accuracies],
            "held_out_log_loss": [accuracy.log_loss for accuracy in self.accuracies],
            "left_because": self.left_because,
        }


class Race:
    """Candidates that share reading, copying, pooling and standardising of each batch.

    Each model is updated with the draws of a run of its own: it ends in the same bits, or,
    where light models are stacked into one computation, in the same numbers but for rounding.

    Args:
        fabric: Device and arithmetic; one process.
        candidates: Who runs.
        data: Clips to learn from, and held-out clips to rank by.
        clips: The former in batches.
        num_epochs: Epochs of the whole race.
        drop: Whether those that fall behind are taken out.
        begins: Whether the race begins here, or :meth:`resume` will find it.
        say: Takes lines for the user.
    """

    def __init__(
        self,
        fabric: Fabric,
        candidates: Sequence[Candidate],
        data: Data,
        clips: TrainingClips,
        *,
        num_epochs: int,
        drop: bool,
        begins: bool,
        say: Callable[[str], None],
    ) -> None:
        if data.held_out is None:
            raise ValueError("a race needs held-out clips to rank by")
        self._fabric, self._data, self._clips = fabric, data, clips
        self._held_out: ClipTable = data.held_out
        self.num_epochs_done = 0
        self._halve_after = {math.ceil(num_epochs / 4), math.ceil(num_epochs / 2)} - {num_epochs}
        if not drop:
            self._halve_after = set()
        statistics = ChannelStatistics(data.store, data.learn)
        self.entrants = [
            Entrant(
                candidate,
                build_learner(
                    fabric, candidate.recipe, data, clips, statistics=statistics, say=say, begins=begins
                ),
            )
            for candidate in candidates
        ]

    @property
    def running(self) -> list[tuple[Entrant, Learner]]:
        """Candidates that still run."""
        return [(entrant, entrant.learner) for entrant in self.entrants if entrant.learner is not None]

    def run_epoch(self) -> None:
        """Train everyone for one epoch, measure, and drop the worse half where it is time.

        Raises:
            InputError: if nobody is left.
        """
        for _, learner in self.running:
            learner.objective.train()
        for batch in self._clips.epoch(self.num_epochs_done, first_step=0, device=self._fabric.device):
            self._step(batch)
        if not self.running:
            raise InputError(f"all candidates diverged; the last: {self.entrants[-1].left_because}")
        for entrant, learner in self.running:
            entrant.accuracies.append(measure(learner, self._data, self._held_out))
        self.num_epochs_done += 1
        if self.num_epochs_done in self._halve_after:
            self._drop_worse_half()

    def _step(self, batch: Batch) -> None:
        prepared: dict[Hashable, Prepared] = {}
        stacks: dict[Hashable, list[Learner]] = {}
        for _, learner in self.running:
            stacks.setdefault(stack_key(learner), []).append(learner)
        for stack in stacks.values():
            key = stack[0].preparation_key
            if key not in prepared:
                prepared[key] = stack[0].prepare(batch)
            if len(stack) == 1:
                stack[0].accumulate(batch, prepared[key])
            else:
                accumulate_together(stack, batch, prepared[key])
        if not batch.ends_step:
            return
        for entrant, learner in self.running:
            try:
                learner.finish(batch)
            except TrainingDivergedError as error:
                entrant.leave(f"diverged: {error}")

    def ranking(self) -> list[Entrant]:
        """Running candidates, best first; of two that are equal the earlier in the grid."""

        def compare(a: Entrant, b: Entrant) -> int:
            return int(b.accuracies[-1].is_better_than(a.accuracies[-1])) - int(
                a.accuracies[-1].is_better_than(b.accuracies[-1])
            )

        return sorted((entrant for entrant, _ in self.running), key=functools.cmp_to_key(compare))

    def _drop_worse_half(self) -> None:
        ranking = self.ranking()
        for place, entrant in enumerate(ranking[math.ceil(len(ranking) / 2) :], math.ceil(len(ranking) / 2)):
            entrant.leave(f"place {place + 1} of {len(ranking)} after epoch {self.num_epochs_done}")

    def save(self, path: Path, *, is_over: bool) -> None:
        """Write all that the next epoch depends on; of a race that is over only its records."""
        content = {
            "recipes": [config_hash(entrant.candidate.recipe) for entrant in self.entrants],
            "num_epochs_done": self.num_epochs_done,
            "entrants": [
                {
                    "accuracies": [dataclasses.asdict(accuracy) for accuracy in entrant.accuracies],
                    "left_because": entrant.left_because,
                    "learner": None if is_over or entrant.learner is None else entrant.learner.state_dict(),
                }
                for entrant in self.entrants
            ],
        }
        save_content(path, content)

    def resume(self, path: Path) -> None:
        """Go on from what :meth:`save` wrote.

        Raises:
            InputError: if it is of other candidates.
        """
        content = torch.load(path, map_location="cpu")
        if content["recipes"] != [config_hash(entrant.candidate.recipe) for entrant in self.entrants]:
            raise InputError(f"{path} is of a sweep over other candidates; choose another --out")
        self.num_epochs_done = content["num_epochs_done"]
        for entrant, saved in zip(self.entrants, content["entrants"], strict=True):
            entrant.accuracies = [Accuracy(**accuracy) for accuracy in saved["accuracies"]]
            if saved["left_because"] is not None:
                entrant.leave(saved["left_because"])
            elif entrant.learner is not None and saved["learner"] is not None:
                entrant.learner.load_state_dict(saved["learner"])
