// The list of cases: marking by key, all on the page, and how many are marked. An entry module.
import { bindKeys } from "./keyboard.js";

const boxes = () => [...document.querySelectorAll("#cases input[name=case]")];

function count() {
  const marked = boxes().filter((box) => box.checked).length;
  const words = document.querySelector("#cases [data-count]");
  if (words) words.textContent = marked ? `${marked} case${marked === 1 ? "" : "s"}` : "the marked cases";
  const bulk = document.querySelector("#cases [data-bulk]");
  if (bulk) bulk.disabled = marked === 0;
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("#cases [data-all]")) for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.matches?.("#cases input[type=checkbox]")) count();
});
document.addEventListener("htmx:afterSettle", count);

bindKeys({
  x: () => {
    const box = document.activeElement?.closest("tr")?.querySelector("input[name=case]");
    if (!box) return false;
    box.checked = !box.checked;
    count();
    return true;
  },
});
count();
