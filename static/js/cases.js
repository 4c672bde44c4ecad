// The list of cases: marking by key, all on the page, and how many are marked. An entry module.
import { bindKeys, isTaken, turn } from "./keyboard.js";

const boxes = () => [...document.querySelectorAll("#cases input[name=case]")];

function count() {
  const marked = boxes().filter((box) => box.checked).length;
  const words = marked ? `${marked} case${marked === 1 ? "" : "s"}` : "the marked cases";
  for (const each of document.querySelectorAll("#cases [data-count]")) each.textContent = words;
  for (const button of document.querySelectorAll("#cases [data-bulk]")) button.disabled = marked === 0;
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("#cases [data-all]")) for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.matches?.("#cases input[type=checkbox]")) count();
});
document.addEventListener("htmx:afterSettle", count);

// Enter in the field of the suite means the button beside it, not the first one of the form.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.("#cases .tagging input")) return;
  event.preventDefault();
  event.target.parentElement.querySelector("button:not(:disabled)")?.click();
});

// j and k go through the cases, whatever other tables stand on the page: before the shell takes the key.
function step(by) {
  const links = [...document.querySelectorAll("#cases tbody tr")].map((row) => row.querySelector("a[href]")).filter(Boolean);
  const at = links.findIndex((link) => document.activeElement?.closest("tr")?.contains(link));
  links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  return links.length > 0;
}

document.addEventListener("keydown", (event) => {
  const by = { j: 1, k: -1 }[event.key];
  if (by && !isTaken(event) && step(by)) event.preventDefault();
}, true);

bindKeys({
  h: () => turn("prev"),
  l: () => turn("next"),
  x: () => {
    const box = document.activeElement?.closest("tr")?.querySelector("input[name=case]");
    if (!box) return false;
    box.checked = !box.checked;
    count();
    return true;
  },
});
count();
