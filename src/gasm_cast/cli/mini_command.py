"""`gasm-cast mini`: render the built-in data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """Render Something-Something mini: real webm videos in the layout of Something-Something V2."""

    out: Path = Path("data/mini")
    """Folder to write; an interrupted draw of the same seed is taken up again."""
    train_per_class: int = 30
    """Training clips of each class."""
    validation_per_class: int = 10
    """Validation clips of each class; they show other objects and backgrounds."""
    test_per_class: int = 10
    """Test clips of each class; their answers lie in test-answers.csv."""
    num_classes: int | None = None
    """Take only the first so many classes; all by default."""
    seed: int = 0
    """Everything follows from it."""
    workers: int = 2
    """Processes that render."""
    contact_sheet: Path | None = None
    """Also draw one clip of each class into this picture."""


def run(options: Options) -> int:
    """Render, and say what was made."""
    from gasm_cast.minidata import contact_sheet, generate, require_picture

    if options.contact_sheet is not None:
        require_picture(options.contact_sheet)
    summary = generate(
        options.out,
        seed=options.seed,
        num_classes=options.num_classes,
        clips_per_class=(options.train_per_class, options.validation_per_class, options.test_per_class),
        num_workers=options.workers,
        show_progress=True,
    )
    if options.contact_sheet is not None:
        contact_sheet(options.out, options.contact_sheet)
    train, validation, test = (summary.num_classes * count for count in summary.num_clips)
    print(
        f"{options.out}: {summary.num_classes} classes, {train} + {validation} + {test} clips "
        f"(train, validation, test), {summary.num_rendered} rendered now"
    )
    return 0
