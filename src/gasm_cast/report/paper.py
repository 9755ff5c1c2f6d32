"""The tables, figures and numbers of a paper, and a document that shows all of them.

::

    main.tex          compiles with pdflatex and bibtex; a frame to write in
    numbers.tex       every figure as a macro
    tables/*.tex      main result, differences, efficiency, published results, ablation
    figures/*.pdf     vector graphics
    references.bib
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from gasm_cast.errors import InputError
from gasm_cast.files import write_text
from gasm_cast.report import figures, style, tables, views
from gasm_cast.report.bench import read_bench
from gasm_cast.report.clustering import confusion_order
from gasm_cast.report.literature import published_table
from gasm_cast.report.numbers import macro_name, numbers_of
from gasm_cast.report.record import RunSummary
from gasm_cast.report.tables import Column, Table


def write_paper(
    groups: Mapping[str, Sequence[RunSummary]],
    out: Path,
    *,
    differences: Sequence[Mapping[str, Any]] = (),
    ablation: Path | None = None,
    bench: Path | None = None,
) -> None:
    """Write everything into a folder; files of the same names are replaced.

    Args:
        groups: Runs by model, those of a model differing in their seed; the first model is
            the paper's own.
        out: The folder.
        differences: Paired differences of the first model to others, as
            `evaluation.comparison` records them.
        ablation: Folder of a study that `gasm-cast ablate` has run.
        bench: Figures that `gasm-cast bench model --json` wrote, for the efficiency table; without
            them it shows the costs that the runs have measured.

    Raises:
        InputError: if the study has no result, `bench` holds no figures, or a file cannot be written.
    """
    rows = [] if ablation is None else _read_rows(ablation)
    written = {"main": tables.to_latex(main_table(groups), "tab:main", size="footnotesize")}
    if differences:
        written["differences"] = tables.to_latex(_differences_table(differences), "tab:differences")
    cost = views.cost([runs[0] for runs in groups.values()])
    if bench is not None:
        written["efficiency"] = "\n".join(
            tables.to_latex(table, "tab:efficiency" if place == 0 else f"tab:efficiency-{grid}")
            for place, (grid, table) in enumerate(read_bench(bench).items())
        )
    elif cost is not None:
        written["efficiency"] = tables.to_latex(cost, "tab:efficiency")
    written["published"] = tables.to_latex(published_table(), "tab:published")
    if ablation is not None:
        written["ablation"] = (ablation / "ablation.tex").read_text(encoding="utf-8")
    for name, text in written.items():
        write_text(out / "tables" / f"{name}.tex", text)
    drawn = _figures(groups)
    for name, figure in drawn.items():
        style.save(figure, out / "figures" / f"{name}.pdf")
    if ablation is not None and (ablation / "ablation.pdf").exists():
        shutil.copyfile(ablation / "ablation.pdf", out / "figures" / "ablation.pdf")
    write_text(out / "numbers.tex", numbers_of(groups, differences, rows).to_latex())
    bibliography = resources.files("gasm_cast.report").joinpath("templates", "references.bib")
    write_text(out / "references.bib", bibliography.read_text(encoding="utf-8"))
    ours, *others = groups
    write_text(
        out / "main.tex",
        _template().render(
            tables=set(written),
            figures={path.stem for path in (out / "figures").glob("*.pdf")},
            ours=tables.escape_latex(ours),
            ours_macro=macro_name(ours),
            difference_macro=macro_name(f"difference {ours} {others[0]}") if differences else None,
            against=tables.escape_latex(others[0]) if others else None,
        ),
    )


def main_table(groups: Mapping[str, Sequence[RunSummary]]) -> Table:
    """Accuracy of each model: of a single run with Wilson's interval, of several with their spread."""
    columns = (
        Column("Model"),
        Column("Recipe", "code"),
        Column("Seeds", "count"),
        Column("Params (M)", "number"),
        Column("Top-1", "percent", best="max"),
        Column("Std over seeds", "percent"),
        Column("95% of one run", "percent-interval"),
        Column("Top-5", "percent", best="max"),
        Column("Mean class", "percent", best="max"),
    )
    rows = []
    for name, runs in groups.items():
        top1 = [run.metrics["top1"]["value"] for run in runs]
        low, high = runs[0].metrics["top1"]["interval"]
        rows.append(
            (
                name,
                runs[0].seedless_hash,
                len(runs),
                None if runs[0].num_parameters is None else runs[0].num_parameters / 1e6,
                float(np.mean(top1)),
                float(np.std(top1, ddof=1)) if len(runs) > 1 else None,
                (low, high),
                float(np.mean([run.metrics["top5"]["value"] for run in runs])),
                float(np.mean([run.metrics["mean_class_accuracy"]["value"] for run in runs])),
            )
        )
    first = next(iter(groups.values()))[0]
    caption = (
        f"Accuracy on the {first.metrics['num_scored']:,} clips of split {first.split}, "
        f"{len(first.class_names)} classes."
    )
    return Table(caption, columns, tuple(rows))


def _differences_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """Narrow enough for a page: what all rows share goes into the caption."""
    first = differences[0]
    table = views.comparisons(differences).without("Model", "Clips", "Accuracy")
    return replace(table, caption=f"{table.caption}, of {first['a']} against other models.")


def _figures(groups: Mapping[str, Sequence[RunSummary]]) -> dict[str, Figure]:
    ours = next(iter(groups.values()))[0]
    matrix = np.array(ours.metrics["confusion"])
    firsts = [runs[0] for runs in groups.values()]
    drawn: dict[str, Figure] = {
        "accuracy": figures.forest(
            list(groups),
            [100 * run.metrics["top1"]["value"] for run in firsts],
            [(100 * low, 100 * high) for low, high in (run.metrics["top1"]["interval"] for run in firsts)],
            "top-1 accuracy (%) of the first seed, 95% interval",
        ),
        "confusion": figures.confusion(matrix, ours.class_names, confusion_order(matrix)),
        "reliability": figures.reliability(ours.metrics["calibration"]["bins"], ours.name),
    }
    if len(ours.metrics["layers"]) > 1:
        drawn["layers"] = figures.layer_accuracy({ours.name: ours.metrics["layers"]}, "group_top1")
    return drawn


def _read_rows(study: Path) -> list[dict[str, Any]]:
    path = study / "ablation.json"
    if not path.exists():
        raise InputError(f"{study} is not the folder of a finished study; `gasm-cast ablate STUDY` makes one")
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _template() -> Any:
    """LaTeX is full of braces, so that the template has other marks than a page's."""
    environment = Environment(
        loader=PackageLoader("gasm_cast.report"),
        undefined=StrictUndefined,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    return environment.get_template("main.tex.j2")
