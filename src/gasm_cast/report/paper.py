"""The tables, figures and numbers of a paper, and a document that shows all of them.

::

    main.tex          compiles with pdflatex and bibtex; a frame to write in
    numbers.tex       every figure as a macro
    tables/*.tex      main result, differences, confused classes, efficiency, published results, ablation
    figures/*.pdf     vector graphics
    references.bib
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gasm_cast.errors import InputError
from gasm_cast.files import write_text
from gasm_cast.report import plates, style, tables, views
from gasm_cast.report.bench import read_bench
from gasm_cast.report.literature import backbone_source, is_comparable, published_table
from gasm_cast.report.models import ModelSummary
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
    models = [ModelSummary(name, tuple(runs)) for name, runs in groups.items()]
    written = {"main": _to_latex(main_table(models), "main")}
    if differences:
        written["differences"] = _to_latex(differences_table(differences), "differences")
    cost = views.cost([replace(model.first, name=model.name) for model in models])
    if bench is not None:
        written["efficiency"] = "\n".join(
            _to_latex(table, "efficiency" if place == 0 else f"efficiency-{grid}")
            for place, (grid, table) in enumerate(read_bench(bench).items())
        )
    elif cost is not None:
        # A model's seeds cost the same; its accuracy is in the main table, as the mean over them.
        written["efficiency"] = _to_latex(cost.without("Top-1"), "efficiency")
    drawn = plates.draw(models)
    if not plates.names_are_legible(models[0]):
        written["confused"] = _to_latex(confused_table(models[0]), "confused")
    written["published"] = _to_latex(published_table(), "published")
    if ablation is not None:
        written["ablation"] = (ablation / "ablation.tex").read_text(encoding="utf-8")
    for name, text in written.items():
        write_text(out / "tables" / f"{name}.tex", text)
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
            several_seeds=models[0].num_seeds > 1,
            has_top5=models[0].has_top5,
            has_verb_groups=models[0].has_verb_groups,
            streams={stream: _cited(name) for stream, name in models[0].first.backbones.items() if name},
            dataset=tables.escape_latex(models[0].first.dataset),
            is_comparable=is_comparable(
                len(models[0].first.class_names), models[0].first.metrics["num_asked"]
            ),
            tests={record["test"] for record in differences},
            difference_macro=macro_name(f"difference {ours} {others[0]}") if differences else None,
            against=tables.escape_latex(others[0]) if others else None,
        ),
    )


def _cited(backbone: str) -> str:
    """A backbone's name with its reference, if it has one."""
    source = backbone_source(backbone)
    name = rf"\texttt{{{tables.escape_latex(backbone)}}}"
    return name if source is None else rf"{name} \cite{{{source}}}"


def main_table(models: Sequence[ModelSummary]) -> Table:
    """Accuracy of each model: of a single run with Wilson's interval, of several with their spread."""
    columns = (
        Column("Model"),
        Column("Recipe", "code"),
        Column("Seeds", "count"),
        Column("Params (M)", "number"),
        Column("Top-1", "percent", best="max"),
        Column("Std", "percent"),
        Column("95% interval", "percent-interval"),
        Column("Top-5", "percent", best="max"),
        Column("Mean class", "percent", best="max"),
    )
    rows = []
    for model in models:
        top1 = model.top1_of_seeds
        low, high = model.metrics["top1"]["interval"]
        single = model.num_seeds == 1
        num_parameters = model.first.num_parameters
        rows.append(
            (
                model.name,
                model.first.seedless_hash,
                model.num_seeds,
                None if num_parameters is None else num_parameters / 1e6,
                statistics.fmean(top1),
                None if single else statistics.stdev(top1),
                (low, high) if single else None,
                model.metrics["top5"]["value"] if model.has_top5 else None,
                model.metrics["mean_class_accuracy"]["value"],
            )
        )
    first = models[0].first
    caption = (
        f"Accuracy on the {first.metrics['num_scored']:,} clips of split {first.split}, "
        f"{len(first.class_names)} classes"
    )
    table = Table(caption, columns, tuple(rows)).without_empty()
    if any(model.num_seeds > 1 for model in models):
        table = replace(table, caption=f"{caption}: means over seeds and their standard deviation")
    return _without_common_seeds(table, {str(model.num_seeds) for model in models})


def differences_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """Narrow enough for a page: what all rows share goes into the caption."""
    table = views.comparisons(differences).without("Model", "Clips", "Accuracy", "Theirs")
    table = replace(table, caption=f"{table.caption}, of {differences[0]['a']} against other models")
    seeds = {str(record[key]) for record in differences for key in ("num_seeds_a", "num_seeds_b")}
    return _without_common_seeds(table, seeds)


def confused_table(model: ModelSummary) -> Table:
    """The pairs of classes that a model confuses most; names that a matrix has no room for."""
    table = views.confused_pairs(model)
    titles = ("First class", "Second class", "First as second", "Second as first")
    return replace(
        table,
        caption=f"{table.caption}, in clips of {model.name}",
        columns=tuple(
            replace(column, title=title) for column, title in zip(table.columns, titles, strict=True)
        ),
    )


def _without_common_seeds(table: Table, seeds: set[str]) -> Table:
    """The number of seeds in the caption, where all rows have the same."""
    if len(seeds) > 1:
        return table
    (num,) = seeds
    return replace(table.without("Seeds"), caption=f"{table.caption}, {num} seed{'s' * (num != '1')} each")


def _to_latex(table: Table, name: str) -> str:
    return tables.to_latex(table, f"tab:{name}", size="footnotesize")


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
