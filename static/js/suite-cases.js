// Marking cases of a suite: all of the page, all that fit, how many; buttons wait until something is marked.
import { bindKeys } from "./keyboard.js";

const boxes = () => [...document.querySelectorAll(".cases [name=case]")];

function count() {
  const all = boxes();
  const marked = all.filter((box) => box.checked);
  const every = document.querySelector("[data-mark-every]");
  for (const box of all) box.closest("tr").toggleAttribute("data-marked", box.checked || Boolean(every?.checked));
  const page = document.querySelector("[data-mark-all]");
  if (page) {
    page.checked = all.length > 0 && marked.length === all.length;
    page.indeterminate = marked.length > 0 && !page.checked;
  }
  const words = document.querySelector("[data-marked]:not(tr)");
  if (words) words.textContent = every?.checked ? "all marked" : marked.length ? `${marked.length} marked` : "";
  for (const button of document.querySelectorAll("[data-bulk]")) button.disabled = !marked.length && !every?.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-mark-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.closest("#rows")) count();
});

// Enter in the field of tags or the reason means the button beside it, not the first one of the form.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.(".tagging input")) return;
  event.preventDefault();
  event.target.parentElement.querySelector("button:not(:disabled)")?.click();
});

bindKeys({
  m: () => {
    const box = document.activeElement?.closest(".cases tr")?.querySelector("[name=case]");
    box?.click();
    return Boolean(box);
  },
});

document.addEventListener("htmx:afterSwap", count);
count();
