"""A longer search over a recipe's values with Optuna: pruned, resumable, its study kept.

Every trial is a run of its own, ranked as in a sweep on clips held back from the training
split; the labels of the validation split are not read. A trial is given up after an epoch
if its best accuracy so far is below the median that the trials which came to their end had
at that epoch.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from gasm_cast.config import Recipe, RecipeError, config_hash, to_toml
from gasm_cast.errors import InputError
from gasm_cast.files import write_text
from gasm_cast.runs import Run
from gasm_cast.training.candidates import describe, override, read_value, value_of, with_held_out
from gasm_cast.training.learner import TrainingDivergedError
from gasm_cast.training.loop import train

DEFAULT_SPACE = ("training.learning_rate=1e-4:1e-2:log", "training.weight_decay=0.01:0.5:log")
"""What the field tunes for every probe, over the ranges that are usual there."""


@dataclass(frozen=True)
class Range:
    """Values of one field: numbers between two ends, or those that are listed."""

    key: str
    values: tuple[Any, ...]
    """The low and the high end, or the list."""
    scale: Literal["linear", "log", "listed"]

    def suggest(self, trial: Trial) -> Any:
        """A value for a trial."""
        if self.scale == "listed":
            return trial.suggest_categorical(self.key, self.values)
        low, high = self.values
        suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
        return suggest(self.key, low, high, log=self.scale == "log")


def read_space(texts: Sequence[str], recipe: Recipe) -> list[Range]:
    """Read texts like `training.learning_rate=1e-4:1e-2:log` or `model.graph.num_heads=2,4,8`.

    Raises:
        InputError: if a text is malformed, names a field twice, or the field does not exist
            or does not take the values.
    """
    space = [_read_range(text, recipe) for text in texts]
    for key, count in Counter(field.key for field in space).items():
        if count > 1:
            raise InputError(f"--space names {key} twice; give all its values in one place")
    return space


def _read_range(text: str, recipe: Recipe) -> Range:
    key, _, values = text.partition("=")
    key = key.strip().replace("-", "_")
    *ends, scale = values.split(":") if values.endswith(":log") else [*values.split(":"), "linear"]
    listed = values.split(",")
    if not values or len(ends) > 2:
        raise InputError(f"--space {text}: write FIELD=LOW:HIGH, FIELD=LOW:HIGH:log or FIELD=VALUE,VALUE")
    found = tuple(
        value_of(override(recipe, {key: read_value(value)}, source=f"--space {text}"), key)
        for value in (ends if len(ends) == 2 else listed)
    )
    if len(ends) < 2:
        return Range(key, found, "listed")
    if not all(isinstance(end, int | float) for end in found) or found[0] >= found[1]:
        raise InputError(f"--space {text}: the ends must be numbers, the low one first")
    if scale == "log" and found[0] <= 0:
        raise InputError(f"--space {text}: a logarithmic range begins above 0")
    return Range(key, found, "log" if scale == "log" else "linear")


def search(
    recipe: Recipe, space: Sequence[Range], folder: Path, *, num_trials: int, console: Console | None = None
) -> Recipe:
    """Search until the study has `num_trials` finished trials; the same call goes on with it.

    Writes study.db (Optuna's own), search.json, and the best recipe as best.toml.

    Args:
        recipe: What the trials share.
        space: What they differ in.
        folder: Where the study and its trials lie.
        num_trials: Trials in all, those of earlier calls included.
        console: Where to report; None is silent.

    Returns:
        The best recipe.

    Raises:
        InputError: if no trial is asked for, the folder is a run's or holds another search, or no
            trial came to its end.
    """
    if (folder / "config.toml").exists():
        raise InputError(f"{folder} holds a run, and a search makes runs of its own; choose another --out")
    if num_trials < 1:
        raise InputError(f"a search needs one trial or more, got {num_trials}")
    printer = console or Console(quiet=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(recipe, space, folder / "study.db")
    while (num_settled := len(_settled(study))) < num_trials:
        trial = study.ask()
        overrides = {field.key: field.suggest(trial) for field in space}
        try:
            outcome = _run_trial(trial, recipe, overrides, folder / "trials")
        except InputError:  # left running, the trial would be taken up, and fail, in every later call
            study.tell(trial, state=TrialState.FAIL)
            raise
        study.tell(trial, outcome.top1, outcome.state)
        printer.print(
            f"trial {num_settled + 1}/{num_trials}  {outcome.text}: {describe(overrides)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if not complete:
        raise InputError(f"{folder}: none of {num_trials} trials came to its end; widen or mend --space")
    best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.user_attrs["log_loss"]))
    found = override(recipe, best.params, source="--space")
    report = {"best": best.number, "trials": [_record(trial) for trial in study.get_trials()]}
    write_text(folder / "search.json", json.dumps(report, indent=2) + "\n")
    write_text(folder / "best.toml", to_toml(found))
    return found


@dataclass(frozen=True)
class _Outcome:
    """How a trial ended."""

    state: TrialState
    text: str
    top1: float | None = None


def _open_study(recipe: Recipe, space: Sequence[Range], file: Path) -> optuna.Study:
    """The folder's study; a trial that was interrupted is queued to be taken up."""
    study = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name="gasm-cast",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    asked = {"recipe": config_hash(recipe), "space": [str(field) for field in space]}
    if study.user_attrs.setdefault("asked", asked) != asked:
        raise InputError(f"{file} is of a search over another recipe or space; choose another --out")
    study.set_user_attr("asked", asked)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=TrialState.FAIL)
    # Begun anew with the same seed, a sampler would propose again what it proposed before.
    seed = recipe.training.seed + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
    return study


def _run_trial(trial: Trial, recipe: Recipe, overrides: Mapping[str, Any], folder: Path) -> _Outcome:
    """Train one trial, or go on with it; its weights are not kept.

    Training is deterministic, so a trial with the values of an earlier one, as a list of few
    values brings about, ends as that did.
    """
    for earlier in trial.study.get_trials(states=(TrialState.COMPLETE,)):
        if earlier.params == trial.params:
            for epoch, top1 in earlier.intermediate_values.items():
                trial.report(top1, epoch)
            trial.set_user_attr("log_loss", earlier.user_attrs["log_loss"])
            text = f"{earlier.value:.1%}, as trial {earlier.number}"
            return _Outcome(TrialState.COMPLETE, text, earlier.value)
    try:
        tried = with_held_out(override(recipe, overrides, source="--space"))
        tried = replace(tried, training=replace(tried.training, validate_every=0, tracker="none"))
        run = Run.claim(folder / config_hash(tried), tried)
        if run.last_checkpoint.exists():  # interrupted: its epochs so far are not trained again
            for epoch in run.events("epoch"):
                trial.report(epoch["held_out_top1"], epoch["epoch"])
        train(run, on_epoch=lambda epoch: _report(trial, epoch))
    except optuna.TrialPruned:
        outcome = _Outcome(TrialState.PRUNED, "given up")
    except TrainingDivergedError as error:
        outcome = _Outcome(TrialState.PRUNED, f"diverged ({error})")
    except RecipeError as error:  # values that do not go together, or not with the features
        return _Outcome(TrialState.PRUNED, f"impossible ({error})")
    else:
        *_, last = run.events("epoch")
        trial.set_user_attr("log_loss", last["held_out_log_loss"])
        outcome = _Outcome(TrialState.COMPLETE, f"{last['held_out_top1']:.1%}", last["held_out_top1"])
    shutil.rmtree(run.last_checkpoint.parent, ignore_errors=True)
    return outcome


def _report(trial: Trial, epoch: Mapping[str, Any]) -> None:
    trial.report(epoch["held_out_top1"], epoch["epoch"])
    if trial.should_prune():
        raise optuna.TrialPruned


def _settled(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials() if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def _record(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "overrides": trial.params,
        "held_out_top1": [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)],
    }
