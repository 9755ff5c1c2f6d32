"""Numbers of runs as LaTeX macros, so that a text never holds a number that was typed by hand."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from gasm_cast.errors import InputError
from gasm_cast.report.record import RunSummary
from gasm_cast.report.tables import Kind, Value, escape_latex, write_value

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


class Numbers:
    """Named values; a name is words, and becomes a macro of letters only."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._words: dict[str, str] = {}

    def add(self, words: str, value: Value, kind: Kind) -> None:
        """Name a value.

        Raises:
            InputError: if other words have the macro already; it is made of letters alone.
        """
        macro = macro_name(words)
        if macro in self._words:
            raise InputError(
                f"{self._words[macro]!r} and {words!r} would both be the macro \\{macro}; give runs and "
                f"variants names that differ in letters or digits"
            )
        self._words[macro] = words
        self._values[macro] = escape_latex(write_value(value, kind))

    def to_latex(self) -> str:
        """A definition of each value's macro, by name."""
        lines = ["% Written by `gasm-cast paper`; change the runs, not this file."]
        lines += [rf"\newcommand{{\{macro}}}{{{text}}}" for macro, text in sorted(self._values.items())]
        return "\n".join(lines) + "\n"


def macro_name(words: str) -> str:
    """Words as a macro's name: capitals begin words, digits are spelt out."""
    spelt = re.sub(r"\d", lambda digit: f" {_DIGITS[int(digit.group())]} ", words)
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z]+", spelt))


def numbers_of(
    groups: Mapping[str, Sequence[RunSummary]],
    differences: Sequence[Mapping[str, Any]],
    ablation: Sequence[Mapping[str, Any]],
) -> Numbers:
    """Every figure of runs, of their differences, and of an ablation.

    Figures of a model are means over its seeds. Beside its top-1 accuracy stands what says
    how sure it is: of several seeds their standard deviation, of a single run the ends of
    Wilson's interval.

    Raises:
        InputError: if two names differ only in what a macro cannot hold.
    """
    numbers = Numbers()
    first = next(iter(groups.values()))[0]
    numbers.add("num clips", first.metrics["num_scored"], "count")
    numbers.add("num classes", len(first.class_names), "count")
    numbers.add("split", first.split, "text")
    for name, runs in groups.items():
        _add_model(numbers, name, runs)
    for record in differences:
        _add_difference(numbers, f"difference {record['a']} {record['b']}", record)
    for row in ablation:
        numbers.add(f"ablation {row['name']} top 1", row["mean"], "percent")
        if row["comparison"] is not None:
            _add_difference(numbers, f"ablation {row['name']}", row["comparison"])
            numbers.add(f"ablation {row['name']} p holm", row["corrected_p"], "p-value")
    return numbers


def _add_model(numbers: Numbers, name: str, runs: Sequence[RunSummary]) -> None:
    metrics = [run.metrics for run in runs]
    for words, values in (
        ("top 1", [m["top1"]["value"] for m in metrics]),
        ("top 5", [m["top5"]["value"] for m in metrics]),
        ("mean class", [m["mean_class_accuracy"]["value"] for m in metrics]),
        ("calibration error", [m["calibration"]["expected_error"] for m in metrics]),
    ):
        numbers.add(f"{name} {words}", sum(values) / len(values), "percent")
    numbers.add(f"{name} seeds", len(runs), "count")
    if len(runs) > 1:
        spread = statistics.stdev(m["top1"]["value"] for m in metrics)
        numbers.add(f"{name} top 1 std over seeds", spread, "percent")
    else:
        low, high = metrics[0]["top1"]["interval"]
        numbers.add(f"{name} top 1 low", low, "percent")
        numbers.add(f"{name} top 1 high", high, "percent")
    if runs[0].num_parameters is not None:
        numbers.add(f"{name} parameters", runs[0].num_parameters / 1e6, "number")
    if "flops" in runs[0].cost:
        numbers.add(f"{name} gflop", runs[0].cost["flops"] / 1e9, "number")
    for layers in zip(*(m["layers"] for m in metrics), strict=True):
        scores = [layer["top1"] or layer["group_top1"] for layer in layers]
        mean = statistics.fmean(score["value"] for score in scores)
        numbers.add(f"{name} {layers[0]['name']} top 1", mean, "percent")


def _add_difference(numbers: Numbers, words: str, record: Mapping[str, Any]) -> None:
    low, high = record["interval"]
    numbers.add(words, record["difference"], "points")
    numbers.add(f"{words} low", low, "points")
    numbers.add(f"{words} high", high, "points")
    numbers.add(f"{words} p", record["p_value"], "p-value")
