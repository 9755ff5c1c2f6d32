"""Every knob of a run, as frozen dataclasses, and the strict reader of recipe files.

A *recipe* is a TOML file whose tables are the fields of :class:`Recipe`. Values are
resolved in the order defaults < recipe file < command-line flags, and the result is
written into the run folder, from which it reruns the run. The docstring under a field
is also its ``--help`` text, so each option is described here and nowhere else.

This module imports no torch, so that the command line answers at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from gasm_cast.errors import InputError
from gasm_cast.files import AnyPath

ModelKind = Literal[
    "gasm-cast",
    "linear",
    "concat-mlp",
    "semantic-only",
    "motion-only",
    "ensemble",
    "cross-attention",
    "attentive-probe",
    "bottleneck-tokens",
    "cast",
]
"""The models that share one contract; the first is ours, the others its peers."""


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """Graph attention inside each stream (phase 3)."""

    enabled: bool = True
    """Refine each stream over its own graph before the streams meet."""
    num_layers: int = 1
    """Graph-attention layers a stream."""
    width: int = 256
    """Width of queries, keys and values, over all heads."""
    num_heads: int = 4
    """Attention heads; must divide the width."""
    edges: Literal["adjacent+similar", "adjacent", "similar", "dense"] = "adjacent+similar"
    """Which nodes a node may attend to, besides itself."""
    similarity: Literal["learned", "fixed"] = "learned"
    """Seek similar nodes in a learned projection, or in the normalised input itself."""
    similarity_width: int = 64
    """Width of the learned similarity space."""
    semantic_num_similar: int = 8
    """Most similar other nodes that each semantic token is joined to."""
    motion_num_similar: int = 2
    """Most similar other nodes that each motion token is joined to."""
    scope: Literal["window", "clip"] = "window"
    """Seek similar nodes in nearby frames only (linear cost), or in the whole clip."""
    frame_window: int = 1
    """Frames before and after that the window reaches; only streams with space have a window."""
    positions: Literal["relative-bias", "rotary", "both", "none"] = "relative-bias"
    """How attention logits know where the two nodes lie."""

    def __post_init__(self) -> None:
        _require_positive(self, "num_layers", "width", "num_heads", "similarity_width")
        _require_at_least_zero(self, "semantic_num_similar", "motion_num_similar", "frame_window")
        _require_divides(self, "num_heads", "width")


@dataclass(frozen=True, kw_only=True)
class ExchangeConfig:
    """Progressive bottleneck cross-attention between the streams (phase 4)."""

    enabled: bool = True
    """Off, the exchange layers go whole: attention, positions, feed-forwards and their heads."""
    num_layers: int = 3
    """B-CAST layers: basic, pattern and action correspondences."""
    width: int = 256
    """Width of the bottleneck in which the streams attend to each other."""
    num_heads: int = 8
    """Attention heads; must divide the width."""
    direction: Literal["both", "semantic-from-motion", "motion-from-semantic", "none"] = "both"
    """Which stream reads from the other; with none, positions, feed-forwards and heads stay (a control)."""
    feed_forward: Literal["both", "motion", "none"] = "motion"
    """Streams that pass through a feed-forward after each exchange."""
    feed_forward_ratio: float = 4.0
    """Hidden width of that feed-forward over the bottleneck's width."""
    positions: Literal["learned", "none"] = "learned"
    """Positions (t, y, x) added to the tokens of both streams before they exchange."""
    residual: Literal["stream", "bottleneck"] = "bottleneck"
    """Expand to the full widths after each phase, or stay in the bottleneck until the end."""
    dropout: float = 0.1
    """Dropout on each sublayer's output; peers with layers take this rate too."""
    attention_dropout: float = 0.0
    """Dropout on attention weights between the streams, and on those of the peers."""

    def __post_init__(self) -> None:
        _require_positive(self, "num_layers", "width", "num_heads", "feed_forward_ratio")
        _require_divides(self, "num_heads", "width")
        _require_fraction(self, "dropout", "attention_dropout")


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Classifier (phase 5) and the light heads of the earlier layers."""

    pooling: Literal["mean", "attention"] = "mean"
    """How a stream's tokens become one vector."""
    temporal: Literal["pool", "statistics", "concat"] = "concat"
    """Mean over time; mean, deviation and maximum over time; or the time steps side by side, in order."""
    norm: Literal["layer", "none"] = "layer"
    """Norm of the pooled vector; LayerNorm hides how strong features are as a whole, such as speed."""
    dropout: float = 0.2
    """Dropout before the classifier."""
    deep_supervision: bool = True
    """Give each exchange layer before the last a classification head of its own."""
    layer_weights: tuple[float, ...] = (0.3, 0.3)
    """Loss weight of each earlier layer's head; the last value serves all further layers."""
    coarse_layers: int = 0
    """This many first layers learn the verb group of the template instead of the class."""

    def __post_init__(self) -> None:
        _require_fraction(self, "dropout")
        _require_at_least_zero(self, "coarse_layers")
        if not self.layer_weights or not all(0 <= weight < math.inf for weight in self.layer_weights):
            raise InputError(
                f"layer_weights needs one or more finite values of at least 0, got {self.layer_weights}"
            )


@dataclass(frozen=True, kw_only=True)
class PeerConfig:
    """Size of the models that GASM-CAST is compared with.

    They have no dropout rates of their own: those of `exchange` and `head` hold for all, so
    that architectures are compared and not regularisers.
    """

    width: int = 384
    """Common width of attentive-probe and bottleneck-tokens; hidden width of concat-mlp."""
    num_layers: int = 3
    """Attention layers."""
    num_heads: int = 8
    """Attention heads; must divide the width."""
    feed_forward: bool = True
    """Feed-forward (4x) after each attention; off is the second reference of the efficiency claims."""
    absorbed: bool = False
    """cross-attention only: absorb the long side's projections into the short side (same numbers)."""
    num_bottleneck_tokens: int = 4
    """bottleneck-tokens only: shared tokens (MBT)."""

    def __post_init__(self) -> None:
        _require_positive(self, "width", "num_layers", "num_heads", "num_bottleneck_tokens")
        _require_divides(self, "num_heads", "width")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which model, and its sizes; stream widths and grids come from the feature store."""

    kind: ModelKind = "gasm-cast"
    """The model to train."""
    semantic_pool: int = 1
    """Average each square of this many rows and columns of semantic tokens into one."""
    normalize: Literal["channel", "none"] = "channel"
    """Standardise each feature channel with the training split's mean and deviation."""
    graph: GraphConfig = field(default_factory=GraphConfig)
    exchange: ExchangeConfig = field(default_factory=ExchangeConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    peer: PeerConfig = field(default_factory=PeerConfig)

    def __post_init__(self) -> None:
        kinds = typing.get_args(ModelKind)
        if self.kind not in kinds:
            raise InputError(f"kind must be one of {', '.join(kinds)}, got {self.kind!r}")
        _require_positive(self, "semantic_pool")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where features and labels lie."""

    store: Path = Path("data/store")
    """Feature store, as `gasm-cast extract` or `gasm-cast import` writes it."""
    annotations: Path = Path("data/annotations")
    """Folder with SSv2's json files, or with train.csv, validation.csv; ids join them to the store."""
    train_split: str = "train"
    """Split to learn from."""
    validation_split: str = "validation"
    """Split to report; never used to choose anything."""
    held_out: float = 0.0
    """Fraction of the training split held back to choose the best epoch or candidate."""

    def __post_init__(self) -> None:
        _require_fraction(self, "held_out")

    def require_found(self) -> None:
        """Refuse to begin where there is nothing.

        Raises:
            InputError: naming the path and its option.
        """
        if not self.annotations.exists():
            raise InputError(f"{self.annotations}: not here; say with --annotations where they lie")
        if not self.store.exists():
            raise InputError(
                f"{self.store}: not here; say with --store where it lies; `gasm-cast extract` "
                "or `import` makes one"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Optimisation."""

    num_epochs: int = 30
    """Passes over the training split."""
    batch_size: int = 64
    """Clips a step on each device."""
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    learning_rate: float = 1e-3
    """Peak learning rate for an effective batch of `base_batch_size`."""
    base_batch_size: int = 64
    """The rate is scaled by effective batch / this (linear rule); 0 turns scaling off."""
    weight_decay: float = 0.05
    """AdamW's decay of matrices; biases, norms, gains and positions are not decayed."""
    warmup_epochs: float = 2.0
    """Epochs of linear warm-up before the cosine to zero."""
    label_smoothing: float = 0.1
    """Probability mass spread evenly over all classes."""
    clip_norm: float = 1.0
    """Largest gradient norm; 0 does not clip."""
    ema_decay: float = 0.0
    """Decay of a moving average of the weights, which is evaluated; shorter at first; 0 is off."""
    patience: int = 0
    """Stop after this many epochs without a better held-out accuracy; 0 is off."""
    validate_every: int = 1
    """Measure the validation split every so many epochs, for the curves only; 0 never opens it."""
    start_from: Path | None = None
    """Checkpoint whose weights to begin with; tensors that do not fit are listed and begin fresh."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic; auto is bf16 on GPUs that have it and fp32 elsewhere."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    num_devices: int = 1
    """Processes (GPUs) on this machine; under torchrun its own count holds."""
    num_nodes: int = 1
    """Machines."""
    compile: bool = False
    """Compile the model (slow start, faster steps on GPUs)."""
    seed: int = 0
    """Seed of weights, order, dropout and augmentation."""
    deterministic: bool = True
    """Use only algorithms that give the same bits every time."""
    checkpoint_every_steps: int = 0
    """Also write last.pt every so many steps; 0 writes at the end of each epoch only."""
    tracker: Literal["tensorboard", "wandb", "mlflow", "none"] = "tensorboard"
    """Where curves go besides the run's own metrics.jsonl."""

    def __post_init__(self) -> None:
        _require_positive(
            self, "num_epochs", "batch_size", "accumulate", "learning_rate", "num_devices", "num_nodes"
        )
        _require_at_least_zero(
            self,
            "base_batch_size",
            "weight_decay",
            "warmup_epochs",
            "clip_norm",
            "patience",
            "validate_every",
            "seed",
            "checkpoint_every_steps",
        )
        _require_fraction(self, "label_smoothing", "ema_decay")


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Augmentation of frozen features, in training only."""

    token_dropout: float = 0.0
    """Probability that a semantic token is replaced by zeros (the channel mean, once standardised)."""
    segment_dropout: float = 0.0
    """Probability that a motion token is replaced by zeros."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise, in units of a channel's own deviation."""
    mixup: float = 0.0
    """Beta parameter of mixup between clips; 0 is off."""
    random_views: bool = True
    """Draw one of a clip's stored views at random; off takes the first."""
    flip: bool = False
    """Mirror every second clip left to right, its label with it; for `classic` features only."""

    def __post_init__(self) -> None:
        _require_fraction(self, "token_dropout", "segment_dropout")
        _require_at_least_zero(self, "noise", "mixup")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a training run depends on."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        if self.training.patience and not self.data.held_out:
            raise InputError(
                "training.patience needs data.held_out > 0, since validation is never used to choose; "
                f"got patience = {self.training.patience} and held_out = {self.data.held_out}"
            )


class RecipeError(InputError):
    """A recipe that cannot be read or does not fit the features: names the place and the remedy."""


C = TypeVar("C")


def read_recipe(path: AnyPath) -> Recipe:
    """Read a recipe strictly: an unknown key or a value of the wrong type is an error.

    Raises:
        RecipeError: if the file is missing, is not TOML, or has a key or value that no
            field of :class:`Recipe` takes.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; `ls recipes/` lists those shipped") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}") from None
    return from_table(Recipe, table, source=str(path))


def from_table(cls: type[C], table: Mapping[str, Any], *, source: str, prefix: str = "") -> C:
    """Build a config dataclass from nested tables of plain values.

    Args:
        cls: The dataclass to build.
        table: Its values by field name; absent fields keep their defaults.
        source: File name for error messages.
        prefix: Dotted path of this table inside the file, with a trailing dot.

    Raises:
        RecipeError: if a key is unknown or a value does not fit its field.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known: {', '.join(hints)}"
            raise RecipeError(f"{source}: unknown key {prefix}{key}; {hint}")
        where = f"{source}: {prefix}{key}"
        if dataclasses.is_dataclass(hints[key]) and isinstance(hints[key], type):
            if not isinstance(value, Mapping):
                raise RecipeError(f"{where} must be a table, got {value!r}")
            values[key] = from_table(hints[key], value, source=source, prefix=f"{prefix}{key}.")
        else:
            values[key] = _convert(value, hints[key], where)
    try:
        return cls(**values)
    except ValueError as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"{source}: [{prefix.rstrip('.') or 'recipe'}] {error}") from None


def to_table(config: Any) -> dict[str, Any]:
    """The nested tables of plain values that :func:`from_table` turns back into `config`."""
    table: dict[str, Any] = {}
    for spec in dataclasses.fields(config):
        value = getattr(config, spec.name)
        if dataclasses.is_dataclass(value):
            table[spec.name] = to_table(value)
        elif isinstance(value, Path):
            table[spec.name] = value.as_posix()
        elif isinstance(value, tuple):
            table[spec.name] = list(value)
        elif value is not None:  # TOML has no null: an absent key is its default
            table[spec.name] = value
    return table


def flat_table(config: Any) -> dict[str, Any]:
    """The same values by dotted key, as flags and `--sweep` name them."""
    flat: dict[str, Any] = {}

    def add(table: Mapping[str, Any], prefix: str) -> None:
        for key, value in table.items():
            if isinstance(value, Mapping):
                add(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    add(to_table(config), "")
    return flat


def to_toml(config: Any) -> str:
    """`config` as TOML text that :func:`read_recipe` reads back to an equal object."""
    lines: list[str] = []

    def write(table: Mapping[str, Any], prefix: str) -> None:
        plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
        if prefix and plain:
            lines.append(f"\n[{prefix}]")
        # JSON's strings, numbers, booleans and arrays of those are valid TOML as they stand.
        lines.extend(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items())
        for key, value in table.items():
            if isinstance(value, Mapping):
                write(value, f"{prefix}.{key}" if prefix else key)

    write(to_table(config), "")
    return "\n".join(lines).lstrip("\n") + "\n"


def config_hash(config: Any) -> str:
    """Ten hexadecimal digits that tell two configurations apart, whatever their file's layout."""
    text = json.dumps(to_table(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where} must be one of {', '.join(map(repr, arguments))}, got {value!r}")
        return value
    if origin in (Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return _convert(value, inner, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where} must be an array, got {value!r}")
        return tuple(_convert(item, arguments[0], where) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise RecipeError(f"{where} must be of type {hint.__name__}, got {value!r}")
    return value


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        if not 0 < getattr(config, name) < math.inf:  # NaN is refused as well
            raise InputError(f"{name} must be positive and finite, got {getattr(config, name)}")


def _require_at_least_zero(config: Any, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) < math.inf:
            raise InputError(f"{name} must be at least 0 and finite, got {getattr(config, name)}")


def _require_fraction(config: Any, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise InputError(f"{name} must lie in [0, 1), got {getattr(config, name)}")


def _require_divides(config: Any, divisor: str, dividend: str) -> None:
    if getattr(config, dividend) % getattr(config, divisor):
        raise InputError(
            f"{divisor} must divide {dividend}, got "
            f"{getattr(config, divisor)} and {getattr(config, dividend)}"
        )
