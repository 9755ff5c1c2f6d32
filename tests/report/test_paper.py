"""A paper's parts: every number comes from a run, every citation has a source, and it compiles."""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from gasm_cast import cli, report
from gasm_cast.ablation import results
from gasm_cast.backbones.names import IMAGE_HUB_IDS, VIDEO_HUB_IDS, I3DName
from gasm_cast.config import ModelKind
from gasm_cast.errors import InputError
from gasm_cast.report import tables
from gasm_cast.report.literature import PUBLISHED, backbone_source
from gasm_cast.report.numbers import Numbers, macro_name

from .conftest import MakeRun, write_run


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of ours against linear, and a study with a result."""
    folder = tmp_path_factory.mktemp("runs")
    backbones = ("dinov2-base", "i3d-r50")
    paths = [write_run(folder / f"ours-{seed}", seed=seed, backbones=backbones) for seed in (0, 1)]
    paths.append(write_run(folder / "linear", kind="linear", skill=1.0, backbones=backbones))
    (paths[0] / "cost.json").write_text(
        json.dumps(
            {"parameters": 1e6, "flops": 2e9, "train_step_sec": 0.1, "saved_bytes": 2**20, "device": "x"}
        )
    )
    study = folder / "study"
    study.mkdir()
    comparison = {"difference": -0.0123, "interval": [-0.03, 0.01], "p_value": 0.2}
    rows = [
        {"name": "base", "mean": 0.71, "comparison": None, "corrected_p": None},
        {"name": "k = 4, no_graph", "mean": 0.7, "comparison": comparison, "corrected_p": 0.4},
    ]
    (study / "ablation.json").write_text(json.dumps(rows))
    (study / "ablation.tex").write_text(
        r"\begin{table}\caption{Variants.}\label{tab:ablation}\begin{tabular}{l}x\end{tabular}\end{table}"
    )
    out = folder / "paper"
    arguments = ["paper", *map(str, paths), "--out", str(out), "--ablation", str(study)]
    assert cli.main(arguments) == 0
    return out


@pytest.fixture(scope="module")
def wide_paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As large as papers get: a study of 13 models and one of 38 variants, and 174 classes."""
    folder = tmp_path_factory.mktemp("wide")
    names = [f"Putting something {c} on a surface" for c in range(174)]
    kinds = get_args(ModelKind)
    models = {f"{kinds[m % len(kinds)]} without feed-forward, {m}": kinds[m % len(kinds)] for m in range(12)}
    study = folder / "models"
    rows: list[dict[str, object]] = []
    for m, (name, kind) in enumerate({"base": kinds[0], **models}.items()):
        runs = [f"model-{m}/seed-{seed}" for seed in ((0, 1) if m == 0 else (0,))]  # every column is there
        for seed, run in enumerate(runs):
            write_run(
                study / run,
                kind=kind,
                seed=seed,
                skill=3.0,
                num_clips=200,
                names=names,
                group_of_class=[c % 40 for c in range(174)],
                group_names=[f"group {g}" for g in range(40)],
            )
        rows.append({"name": name, "runs": runs, "comparison": {} if m else None})
    (study / "ablation.json").write_text(json.dumps(rows))
    write_study(folder / "variants")
    out = folder / "paper"
    assert cli.main(["paper", str(study), "--out", str(out), "--ablation", str(folder / "variants")]) == 0
    return out


def write_study(folder: Path) -> None:
    """Tables of a study as `ablate` writes them: 38 variants in four groups, with long names."""
    folder.mkdir()
    base = results.Row("base", "", "0123456789", (), (0, 1, 2), (0.72, 0.71, 0.73), 471_000, 99.0, None)
    against = {"difference": -0.105, "interval": (-0.134, -0.078), "p_value": 0.0002}
    variants = [
        dataclasses.replace(
            base,
            name=f"verb groups in layer {v} only",
            group=("graph", "exchange", "supervision", "input")[v // 10],
            num_parameters=9_980_000,
            comparison=against,
            corrected_p=0.0076,
        )
        for v in range(38)
    ]
    results.write([base, *variants], folder)


def macros(paper: Path) -> dict[str, str]:
    text = (paper / "numbers.tex").read_text()
    return dict(re.findall(r"\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}", text))


def test_every_number_is_a_macro_with_the_value_of_the_runs(paper: Path) -> None:
    found = macros(paper)
    top1 = [report.read_run(paper.parent / f"ours-{seed}").metrics["top1"]["value"] for seed in (0, 1)]
    assert found["GasmCastTopOne"] == f"{50 * sum(top1):.1f}"
    assert found["GasmCastSeeds"] == "2"
    # Beside a mean over seeds stands their spread, and not what one of them has.
    assert found["GasmCastTopOneStdOverSeeds"] == f"{100 * abs(top1[0] - top1[1]) / 2**0.5:.1f}"
    assert not {"GasmCastTopOneLow", "GasmCastTopOneHigh"} & set(found)
    layers = [report.read_run(paper.parent / f"ours-{seed}").metrics["layers"][0] for seed in (0, 1)]
    assert found["GasmCastLayerOneTopOne"] == f"{50 * sum(layer['top1']['value'] for layer in layers):.1f}"
    assert found["GasmCastGflop"] == "2"
    assert found["NumClips"] == "60"
    assert found["AblationKFourNoGraph"] == "$-$1.2"
    assert found["AblationKFourNoGraphPHolm"] == "0.400"
    linear, (low, high) = report.read_run(paper.parent / "linear").metrics["top1"].values()
    assert (found["LinearTopOneLow"], found["LinearTopOneHigh"]) == (f"{100 * low:.1f}", f"{100 * high:.1f}")
    assert found["DifferenceGasmCastLinear"] == f"{100 * (sum(top1) / 2 - linear):+.1f}"
    # No figure of a result stands in the text itself.
    text = (paper / "main.tex").read_text().partition(r"\begin{document}")[2]
    assert not re.search(r"\d\.\d", re.sub(r"\d*\.\d+\\(?:linewidth|textheight)|=\.\d+", "", text))


def test_costs_are_of_models_and_not_of_one_of_their_seeds(paper: Path) -> None:
    text = (paper / "tables" / "efficiency.tex").read_text()
    assert "\ngasm-cast & " in text
    assert "seed" not in text
    assert "Top-1" not in text


def test_macros_used_are_defined_and_files_included_exist(paper: Path) -> None:
    text = (paper / "main.tex").read_text()
    used = set(re.findall(r"\\((?:GasmCast|Difference|Num|Split)[A-Za-z]*)", text))
    assert used
    assert used <= set(macros(paper))
    for folder, name in re.findall(r"\{(tables|figures)/(\w+)\}", text):
        assert (paper / folder / f"{name}.{'tex' if folder == 'tables' else 'pdf'}").exists()


def test_published_numbers_have_sources_in_the_bibliography(paper: Path) -> None:
    keys = set(re.findall(r"@\w+\{(\w+),", (paper / "references.bib").read_text()))
    text = (paper / "main.tex").read_text() + (paper / "tables" / "published.tex").read_text()
    cited = {
        key for group in re.findall(r"\\cite(?:\[[^]]*\])?\{([^}]*)\}", text) for key in group.split(",")
    }
    assert cited == keys  # nothing without a source, no source without a use
    assert {backbone_source(name) for name in (*IMAGE_HUB_IDS, *VIDEO_HUB_IDS, *get_args(I3DName))} <= keys
    lines = (paper / "tables" / "published.tex").read_text().splitlines()
    (caption,) = [line for line in lines if r"\caption" in line]
    assert r"of rows with \textdagger{}" in caption
    unchecked = [line.partition(r" \textdagger")[0] for line in lines if line != caption and "dagger" in line]
    assert unchecked == ["InternVideo2-6B", "MVD-H", "ST-Adapter ViT-L/14", "VideoMAE-B"]
    assert max(entry.top1 for entry in PUBLISHED) == 0.780
    assert [entry.top1 for entry in PUBLISHED] == sorted((entry.top1 for entry in PUBLISHED), reverse=True)


def test_the_text_names_the_features_and_the_data_set_of_the_runs(paper: Path, wide_paper: Path) -> None:
    of_both = [" ".join((folder / "main.tex").read_text().split()) for folder in (paper, wide_paper)]
    deep, classic = of_both
    assert r"\texttt{dinov2-base} \cite{oquab2023dinov2} for the semantic stream" in deep
    assert r"\texttt{i3d-r50} \cite{carreira2017i3d} for the motion stream" in deep
    assert r"\texttt{classic} for the semantic stream, \texttt{classic} for the motion stream." in classic
    assert not re.search("dinov2|i3d", classic)
    for text, dataset in zip(of_both, (paper.parent.name, "model-0"), strict=True):
        assert rf"not comparable with it: measured on \texttt{{{tables.escape_latex(dataset)}}}" in text


def test_only_the_whole_validation_split_is_comparable_with_published_numbers(
    make_run: MakeRun, tmp_path: Path
) -> None:
    names = [f"Putting something {c} on a surface" for c in range(174)]
    groups = {"names": names, "group_of_class": [0] * 174, "group_names": ["Putting"]}
    run = make_run("ours", **groups)
    metrics = run / "evaluation" / "validation" / "metrics.json"
    record = json.loads(metrics.read_text())
    for num_asked in (24_777, 24_776):
        metrics.write_text(json.dumps(record | {"num_asked": num_asked}))
        assert cli.main(["paper", str(run), "--out", str(tmp_path / "paper")]) == 0
        said = "not comparable" in (tmp_path / "paper" / "main.tex").read_text()
        assert said == (num_asked != 24_777)


def test_macro_names_are_letters_and_clashes_are_refused() -> None:
    assert macro_name("cross-attention (no_ff), k = 16 top 1") == "CrossAttentionNoFfKOneSixTopOne"
    numbers = Numbers()
    numbers.add("a b", 0.5, "percent")
    with pytest.raises(InputError, match=r"'a b' and 'a-b' would both be the macro \\AB"):
        numbers.add("a-b", 0.5, "percent")


def test_a_study_without_result_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("ours")
    arguments = ["paper", str(run), "--out", str(tmp_path / "paper"), "--ablation", str(tmp_path)]
    assert cli.main(arguments) == 2
    assert not (tmp_path / "paper").exists()


def test_names_that_cannot_be_read_in_a_figure_stand_in_a_table(paper: Path, wide_paper: Path) -> None:
    assert not (paper / "tables" / "confused.tex").exists()
    assert "on a surface" in (wide_paper / "tables" / "confused.tex").read_text()
    width_pt = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", confusion_of(wide_paper)).group(1))  # type: ignore[union-attr]
    assert width_pt < 72 * 6.4  # a page's, so that it is not shrunk


def confusion_of(paper: Path) -> bytes:
    return (paper / "figures" / "confusion.pdf").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("pdflatex") and shutil.which("bibtex")), reason="no LaTeX on this machine"
)
@pytest.mark.parametrize("which", ["paper", "wide_paper"])
def test_it_compiles_without_a_warning_and_fits_the_page(which: str, request: pytest.FixtureRequest) -> None:
    paper: Path = request.getfixturevalue(which)
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error"]
    # A table that is too wide is scaled; this shows those that had to be.
    unscaled = r"\AtBeginDocument{\renewcommand{\resizebox}[3]{#3}}\input{main}"
    main = [*latex, "main"]
    for command in (main, ["bibtex", "main"], main, main, [*latex, "-jobname=unscaled", unscaled]):
        done = subprocess.run(command, cwd=paper, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = (paper / "main.log").read_text(errors="replace")
    assert "Overfull" not in log
    assert "Warning" not in log
    assert (paper / "main.pdf").stat().st_size > 50_000
    assert "Overfull" not in (paper / "unscaled.log").read_text(errors="replace")
    # Nothing floats in among the references.
    (num_pages,) = map(int, re.findall(r"Output written on main.pdf \((\d+) pages", log))
    pages = re.findall(r"\\newlabel\{(?:tab|fig):[^}]*\}\{\{\d+\}\{(\d+)\}", (paper / "main.aux").read_text())
    assert max(map(int, pages)) < num_pages
