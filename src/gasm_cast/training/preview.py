"""What a run would be, without training it: for `--dry-run`."""

from __future__ import annotations

import torch

from gasm_cast.config import Recipe, config_hash, to_toml
from gasm_cast.devices import resolve_precision
from gasm_cast.training.devices import launch, repeatable
from gasm_cast.training.setup import set_up


def preview(recipe: Recipe) -> str:
    """The resolved recipe, data, model and schedule, and the loss of one batch, in words.

    Everything is built as for training, so a recipe that cannot be trained is refused here.

    Raises:
        InputError: as :func:`gasm_cast.training.train`.
    """
    fabric = launch(recipe.training)
    notes: list[str] = []
    with repeatable(recipe.training.deterministic), torch.no_grad():
        data, clips, learner, _ = set_up(fabric, recipe, notes.append)
        batch = next(clips.epoch(0, first_step=0, device=fabric.device))
        seen = learner.augment(batch, learner.prepare(batch))
        loss = learner.objective(seen.semantic, seen.motion, seen.targets).mean()
    streams = ", ".join(f"{name} {spec.grid} x {spec.width}" for name, spec in data.store.streams.items())
    precision = resolve_precision(recipe.training.precision, fabric.device)
    num_held_out = 0 if data.held_out is None else len(data.held_out)
    num_validation = 0 if data.validation is None else len(data.validation)
    lines = [
        f"# recipe {config_hash(recipe)}",
        to_toml(recipe),
        f"store      {data.store.path}: {len(data.store):,} clips, {data.store.num_views} view(s), "
        f"{streams}, fingerprint {data.store.fingerprint}",
        f"clips      {len(data.learn):,} to learn from, {num_held_out:,} held out, {num_validation:,} to "
        f"validate, {data.num_failed:,} recorded failures left out; {len(data.classes.names)} classes in "
        f"{data.classes.num_groups} verb groups",
        f"model      {recipe.model.kind}, {learner.model.num_parameters:,} parameters",
        f"device     {fabric.device}, {precision}, {fabric.world_size} process(es)",
        f"schedule   {learner.schedule.describe(recipe.training)}",
        f"one batch  semantic {list(batch.semantic.shape)}, motion {list(batch.motion.shape)}, first clip "
        f"{batch.ids[0]}, loss {float(loss):.4f}",
    ]
    return "\n".join([*lines, *notes])
