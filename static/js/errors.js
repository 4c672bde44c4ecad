// Reading a failure by keyboard: choose categories, find one, write a note, keep it. An entry module.
import { actsOnEnter, bindKeys, turn } from "./keyboard.js";

const form = document.querySelector("form[data-read]");
const find = form.querySelector("[data-find]");
const nothing = form.querySelector("[data-nothing]");
const rows = () => [...form.querySelectorAll(".errors-choices li")];

function toggle(row) {
  row?.querySelector("input").click();
  return Boolean(row);
}

/** Keep what is chosen. Nothing at all is kept by a second press only: the key before the first may have been lost. */
function keep() {
  const chosen = form.querySelector(".errors-choices input:checked") || form.querySelector("#note").value.trim();
  if (chosen || !nothing.hidden) form.requestSubmit();
  else nothing.hidden = false;
  return true;
}

function focus(element) {
  element?.focus();
  return Boolean(element);
}

const digits = Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((place) => [String(place), () => toggle(rows()[place - 1])]));

bindKeys({
  ...digits,
  f: () => focus(find),
  t: () => focus(form.querySelector("#note")),
  c: () => {
    const drawer = document.querySelector("#new-category");
    drawer.open = true;
    return focus(drawer.querySelector("input[type=text]"));
  },
  h: () => turn("prev"),
  l: () => turn("next"),
  Enter: (event) => !actsOnEnter(event.target) && keep(),
});

find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const row of rows()) row.hidden = Boolean(wanted) && !row.textContent.toLowerCase().includes(wanted);
});

form.addEventListener("input", () => {
  nothing.hidden = true;
});

// Enter in the search chooses the first that fits; Ctrl+Enter keeps from anywhere, Esc leaves a field.
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!event.repeat) keep();
  } else if (event.key === "Enter" && event.target === find) {
    event.preventDefault();
    toggle(rows().find((each) => !each.hidden));
    find.value = "";
    find.dispatchEvent(new Event("input"));
    find.blur();
  } else if (event.key === "Escape" && event.target.matches("input, textarea")) {
    event.target.blur();
  }
});
