"use strict";
// What works without this script: everything but filtering, sorting, tabs, players, the
// matrix's read-out and the theme button; those controls show only when the script runs.
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Theme: follows the system until the button is used.
const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "Light page" : "Dark page"; };
theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();

// Filter: rows and cards carry the names of their classes, separated by line feeds.
const filter = document.getElementById("filter");
document.getElementById("filter-form").hidden = false;
document.getElementById("filter-form").addEventListener("submit", (event) => event.preventDefault());
function applyFilter() {
  const wanted = filter.value.trim().toLowerCase();
  for (const item of all("[data-class]")) {
    item.hidden = wanted !== "" && !item.dataset.class.toLowerCase().includes(wanted);
  }
  for (const note of all(".empty")) {
    note.hidden = all("[data-class]", note.parentElement).some((item) => !item.hidden);
  }
}
filter.addEventListener("input", applyFilter);

// Sorting: headings of a sortable table become buttons.
for (const heading of all(".sortable th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  const column = heading.cellIndex;
  button.addEventListener("click", () => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const body = heading.closest("table").tBodies[0];
    const value = (row) => {
      const cell = row.cells[column];
      const text = cell.dataset.value ?? cell.textContent.trim();
      return heading.dataset.sort === "number" ? (text === "" ? Infinity : Number(text)) : text;
    };
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
    for (const other of all("th[aria-sort]", heading.parentElement)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
  });
}

// Confusion matrix: the cell under the pointer or the keyboard's cursor, in words.
const matrix = document.getElementById("confusion");
const image = matrix.querySelector("svg image");
const readout = document.getElementById("confusion-cell");
const size = data.order.length;
const cursor = document.createElement("div");
cursor.className = "cursor";
let cell = [0, 0];
function showCell(row, column, follow) {
  cell = [row, column];
  const [truth, answer] = [data.order[row], data.order[column]];
  const count = data.confusion[truth][answer];
  const total = data.confusion[truth].reduce((a, b) => a + b, 0);
  const name = data.names[truth];
  if (data.seeds > 1) {
    readout.textContent =
      `${count} of the ${total} answers that ${data.seeds} seeds gave to clips of “${name}” ` +
      (truth === answer ? "are right." : `are “${data.names[answer]}”.`);
  } else {
    readout.textContent =
      `${count} of ${total} clips of “${name}” ` +
      (truth === answer ? "were recognised." : `were taken for “${data.names[answer]}”.`);
  }
  const box = image.getBoundingClientRect();
  const frame = matrix.getBoundingClientRect();
  const side = box.width / size;
  cursor.style.left = `${box.left - frame.left + matrix.scrollLeft + column * side}px`;
  cursor.style.top = `${box.top - frame.top + matrix.scrollTop + row * (box.height / size)}px`;
  cursor.style.width = `${side}px`;
  cursor.style.height = `${box.height / size}px`;
  matrix.append(cursor);
  if (follow) cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
}
matrix.addEventListener("pointermove", (event) => {
  const box = image.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * size);
  const row = Math.floor(((event.clientY - box.top) / box.height) * size);
  if (row >= 0 && row < size && column >= 0 && column < size) showCell(row, column, false);
});
matrix.addEventListener("keydown", (event) => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const inside = (index) => Math.min(size - 1, Math.max(0, index));
  showCell(inside(cell[0] + step[0]), inside(cell[1] + step[1]), true);
});

// Tabs: one picture of an explained clip at a time.
for (const list of all('[role="tablist"]')) {
  const tabs = all('[role="tab"]', list);
  const select = (chosen) => {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
    }
  };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  });
  if (tabs.length) select(tabs[0]);
}

// Players: the strip of frames is moved behind its window; a second strip, of the same frames
// under attention, moves along and is switched on and off.
const FRAMES_PER_SEC = 8;
for (const player of all(".player")) {
  const count = Number(player.dataset.frames);
  const strips = all(".film img", player);
  const controls = player.querySelector(".controls");
  const button = controls.querySelector("button");
  const slider = controls.querySelector("input");
  const name = button.getAttribute("aria-label").replace("Play ", "");
  let timer = null;
  const show = () => {
    for (const strip of strips) strip.style.transform = `translateX(-${(100 * slider.value) / count}%)`;
  };
  const toggle = () => {
    if (timer === null) {
      timer = setInterval(() => { slider.value = (Number(slider.value) + 1) % count; show(); }, 1000 / FRAMES_PER_SEC);
    } else {
      clearInterval(timer);
      timer = null;
    }
    button.textContent = timer === null ? "▶" : "❚❚";
    button.setAttribute("aria-label", `${timer === null ? "Play" : "Pause"} ${name}`);
  };
  controls.hidden = false;
  button.addEventListener("click", toggle);
  player.querySelector(".film").addEventListener("click", toggle);
  slider.addEventListener("input", show);
  const overlay = player.querySelector(".overlay");
  const overlaySwitch = player.querySelector(".switch");
  overlaySwitch?.addEventListener("click", () => {
    overlay.hidden = !overlay.hidden;
    overlaySwitch.setAttribute("aria-pressed", String(!overlay.hidden));
  });
}
