"""The page in a real browser: no errors, no overflow on a phone, every control by keyboard."""

import html
import json
import re
from pathlib import Path

import pytest

from gasm_cast import report
from gasm_cast.cli.compare_command import compare_groups
from gasm_cast.report.browser import browse, find_browser, print_pdf
from gasm_cast.report.clips import hard_cases

from .conftest import NAMES, MakeRun, write_strips, write_videos

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome on this machine")

# Runs in the page, after its own script, and tells the frame around it what it found. The
# frame is there for its width: a browser's own window cannot be as narrow as a phone's.
FRAME = """<!doctype html><title>nothing found</title>
<script>addEventListener("message", (event) => { document.title = event.data; });</script>
<iframe src="report.html" width="WIDTH" height="900" style="border: 0"></iframe>
"""
PROBE = """
<script>
{
const found = {};
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const rows = () => [...document.querySelectorAll("#class-table tbody tr")];
const shown = (element) => element.getClientRects().length > 0;
found.width = innerWidth;
found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;

const box = document.getElementById("filter");
const type = (text) => { box.value = text; box.dispatchEvent(new Event("input")); };
type("covering");
found.filtered = rows().filter((row) => !row.hidden).map((row) => row.dataset.class);
type("no such class");
found.empty = [...document.querySelectorAll(".empty")].filter(shown).length;
type("");
found.restored = rows().filter((row) => !row.hidden).length;

const recall = () => rows().map((row) => Number(row.cells[2].dataset.value));
found.ascending = recall();
document.querySelector("th[aria-sort] button").click();
found.descending = recall();

const matrix = document.getElementById("confusion");
press(matrix, "ArrowRight");
found.cell = document.getElementById("confusion-cell").textContent;

const player = document.querySelector("#clips .player:not(:has(.overlay))");
const slider = player.querySelector("input");
slider.value = 3;
slider.dispatchEvent(new Event("input"));
found.moved = player.querySelector("img").style.transform;
player.querySelector("button").click();
found.pressed = player.querySelector("button").getAttribute("aria-label");

const overlaid = document.querySelector(".player:has(.overlay)");
const overlay = overlaid.querySelector(".overlay");
const overlaySwitch = overlaid.querySelector(".switch");
const state = () => [shown(overlay), overlaySwitch.getAttribute("aria-pressed")];
found.overlay = [state()];
for (let press = 0; press < 2; press++) {
  overlaySwitch.focus();
  document.activeElement.click();
  found.overlay.push(state());
}
const overlaidSlider = overlaid.querySelector("input");
overlaidSlider.value = 2;
overlaidSlider.dispatchEvent(new Event("input"));
found.together = [...overlaid.querySelectorAll(".film img")].map((img) => img.style.transform);
found.explained = document.querySelectorAll("#explained .overlay").length;

const before = getComputedStyle(document.body).backgroundColor;
document.getElementById("theme").click();
found.themes = [before, getComputedStyle(document.body).backgroundColor];

found.unreachable = [...document.querySelectorAll("button, a[href], input, summary, .scroll[tabindex]")]
  .filter((e) => shown(e) && e.tabIndex < 0 && e.getAttribute("role") !== "tab").length;
found.nameless = [...document.querySelectorAll("button, input")]
  .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).length;
parent.postMessage(JSON.stringify(found), "*");
}
</script>
"""


def build_page(make_run: MakeRun, folder: Path, num_seeds: int) -> Path:
    """A page of two models, the videos of two hard cases and an explanation of one of them."""
    paths = [make_run(f"ours-{seed}", seed=seed) for seed in range(num_seeds)]
    groups = report.read_groups([*paths, make_run("linear", kind="linear", skill=1.0)])
    hard = hard_cases(groups["gasm-cast"], 2)
    write_videos(folder / "annotations", hard)
    write_strips(paths[0] / "explanations" / "hard", hard[0])
    report.build(groups, folder / "report.html", comparisons=compare_groups(groups), num_clips=2)
    return folder / "report.html"


SINGLE = r"\d+ of \d+ clips of “.*” were taken for “.*”\."
SEVERAL = r"\d+ of the \d+ answers that 3 seeds gave to clips of “.*” are “.*”\."


@pytest.mark.parametrize(("width", "num_seeds", "cell"), [(390, 1, SINGLE), (1280, 3, SEVERAL)])
def test_the_page_works(make_run: MakeRun, tmp_path: Path, width: int, num_seeds: int, cell: str) -> None:
    page = build_page(make_run, tmp_path, num_seeds)
    text = page.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>")
    page.write_text(text, encoding="utf-8")
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.replace("WIDTH", str(width)))
    done = browse(frame, "--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    found = json.loads(html.unescape(title.group(1)))
    assert found["width"] == width
    assert found["overflow"] == 0
    assert found["filtered"] == [name for name in NAMES if "covering" in name.lower()]
    assert found["empty"] == 2
    assert found["restored"] == len(NAMES)
    assert found["ascending"] == sorted(found["ascending"])
    assert found["descending"] == found["ascending"][::-1]
    assert re.match(cell, found["cell"])
    assert found["moved"] == "translateX(-18.75%)"
    assert found["pressed"].startswith("Pause clip")
    assert found["overlay"] == [[False, "false"], [True, "true"], [False, "false"]]
    assert found["together"] == ["translateX(-50%)"] * 2
    assert found["explained"] == 1
    assert found["themes"][0] != found["themes"][1]
    assert found["unreachable"] == 0
    assert found["nameless"] == 0


def test_the_page_prints_on_few_sheets_in_a_file_that_can_be_mailed(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run("ours"), make_run("linear", kind="linear", skill=1.0)]
    groups = report.read_groups(runs)
    ids = groups["gasm-cast"][0].predictions.ids
    write_videos(tmp_path / "annotations", ids)
    write_strips(runs[0] / "explanations" / "one", ids[0])
    comparisons = compare_groups(groups)
    report.build(groups, tmp_path / "report.html", comparisons=comparisons, num_clips=12)
    num_cards = (tmp_path / "report.html").read_text(encoding="utf-8").count('class="card"')
    assert num_cards > 30
    pdf = print_pdf(tmp_path / "report.html").read_bytes()
    assert pdf.startswith(b"%PDF-")
    # Cards stand four abreast and in two rows or more, beside six sheets for everything else.
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 6 + num_cards / 8
    assert len(pdf) < 1_000_000
