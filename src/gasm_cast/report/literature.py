"""What others have published on Something-Something V2, each number with its source.

The keys are those of `templates/references.bib`. Where `checked` is False, the number was
found without its source, and the model's own paper is cited instead; that it states the
number has not been checked, and the table says so. Check these before you publish it.

They were measured by their authors, on other backbones and with other training than ours:
a table of them says where the field stands, not which head is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gasm_cast.report.tables import Column, Table

Training = Literal[
    "fine-tuned", "frozen, adapters inside", "frozen, attentive probe", "frozen, probe without positions"
]


@dataclass(frozen=True)
class Published:
    """One published top-1 accuracy on the validation split."""

    model: str
    training: Training
    top1: float
    source: str
    """Key of the reference that states the number."""
    place: str = ""
    """Where in it, if it is not the paper's own main result."""
    checked: bool = True
    """Whether the source was seen to state the number."""


PUBLISHED = (
    Published("InternVideo2-1B with temporal attention", "fine-tuned", 0.780, "rasekh2025staveq2"),
    Published("V-JEPA 2.1 ViT-G", "frozen, attentive probe", 0.777, "murlabadia2026vjepa21"),
    Published("InternVideo2-6B", "fine-tuned", 0.775, "wang2024internvideo2", checked=False),
    Published("V-JEPA 2 ViT-g, 384 px", "frozen, attentive probe", 0.773, "assran2025vjepa2"),
    Published("MVD-H", "fine-tuned", 0.773, "wang2023mvd", checked=False),
    Published("InternVideo", "fine-tuned", 0.772, "wang2022internvideo"),
    Published("V-JEPA 2 ViT-g, 256 px", "frozen, attentive probe", 0.753, "assran2025vjepa2"),
    Published("V-JEPA 2 ViT-L, 256 px", "frozen, attentive probe", 0.737, "assran2025vjepa2"),
    Published("ST-Adapter ViT-L/14", "frozen, adapters inside", 0.723, "pan2022stadapter", checked=False),
    Published("V-JEPA ViT-H/16", "frozen, attentive probe", 0.722, "bardes2024vjepa"),
    Published("CAST-B", "fine-tuned", 0.716, "lee2023cast"),
    Published("VideoMAE-B", "fine-tuned", 0.708, "tong2022videomae", checked=False),
    Published("DINOv3-7B", "frozen, attentive probe", 0.701, "simeoni2025dinov3", "table 6"),
    Published("PE-core-G", "frozen, attentive probe", 0.690, "simeoni2025dinov3", "table 6"),
    Published("SigLIP2-g", "frozen, attentive probe", 0.688, "simeoni2025dinov3", "table 6"),
    Published("DINOv2-g", "frozen, attentive probe", 0.674, "simeoni2025dinov3", "table 6"),
    Published("PE-core-G", "frozen, probe without positions", 0.554, "assran2025vjepa2", "table 4"),
    Published("DINOv2-g", "frozen, probe without positions", 0.507, "assran2025vjepa2", "table 4"),
    Published("SigLIP2-g", "frozen, probe without positions", 0.499, "assran2025vjepa2", "table 4"),
)
"""Best first."""


_BACKBONES = {
    "dinov2": "oquab2023dinov2",
    "dinov3": "simeoni2025dinov3",
    "i3d": "carreira2017i3d",
    "videomae": "tong2022videomae",
    "vjepa2": "assran2025vjepa2",
}
"""Where a kind of backbone comes from, by what its names begin with; `classic` is of this package."""

_SSV2_CLASSES, _SSV2_VALIDATION_CLIPS = 174, 24_777


def backbone_source(name: str) -> str | None:
    """Key of the reference of a backbone; None if it has none."""
    return next((key for kind, key in _BACKBONES.items() if name.startswith(kind)), None)


def is_comparable(num_classes: int, num_clips: int) -> bool:
    """Whether clips and classes are as many as in the validation split that the table is about."""
    return (num_classes, num_clips) == (_SSV2_CLASSES, _SSV2_VALIDATION_CLIPS)


_UNCHECKED = "†"


def published_table() -> Table:
    """The published numbers."""
    return Table(
        "Published top-1 accuracy on the validation split of Something-Something V2, as the source "
        f"states it; of rows with {_UNCHECKED}, the source is the model's own paper and was not checked "
        "for the number. Backbones, resolution and training differ.",
        (Column("Model"), Column("Training"), Column("Top-1", "percent"), Column("Source", "citation")),
        tuple(
            (
                entry.model if entry.checked else f"{entry.model} {_UNCHECKED}",
                entry.training,
                entry.top1,
                ", ".join(filter(None, (entry.source, entry.place))),
            )
            for entry in PUBLISHED
        ),
    )
