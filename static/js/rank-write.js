// Writing a response, or improving one: the text, its preview, and what changed.
import { showDifference } from "./rank-changes.js";
import { keyWords, keysOf } from "./rank-keymap.js";
import { exactText, page, task, tell } from "./rank-page.js";
import { ask } from "./rank-send.js";

const kept = new WeakMap(); // a task → the texts begun, by response
const part = (id) => task().querySelector(`#${id}`);
const text = () => part("text");
const picked = () => Number(task().querySelector("[name=number]:checked")?.value ?? 0);
const original = (number) => exactText(task().querySelector(`[data-response="${number}"]`));
let timer = 0;

function write() {
  if (!text() || text().disabled) return false;
  if (!part("preview").hidden) showPreview(false);
  text().focus();
  return true;
}

async function preview() {
  if (!text()) return false;
  if (!part("preview").hidden) return showPreview(false);
  const node = task();
  const reply = await ask(`${page.dataset.home}preview/`, new URLSearchParams({ text: text().value })).catch(() => null);
  if (task() !== node) return true;
  if (reply?.status !== 200) return tell("The preview could not be made; the text is kept.", { bad: true });
  const made = new DOMParser().parseFromString(reply.text, "text/html").body;
  part("preview").replaceChildren(...[...made.childNodes].map((child) => document.adoptNode(child)));
  return showPreview(true);
}

function showPreview(on) {
  part("preview").hidden = !on;
  text().hidden = on;
  task().querySelector("[data-tool=preview]").setAttribute("aria-pressed", String(on));
  if (on) part("preview").focus();
  return true;
}

function showChanges() {
  timer = 0;
  const number = picked();
  if (!part("changes") || !number) return;
  part("changes").hidden = false;
  showDifference(part("changes-text"), part("changes-line"), original(number), text().value, `response ${number}`);
}

// Each response keeps what was begun from it; going to another loses nothing.
function pick(number) {
  const texts = kept.get(task());
  if (texts.number) texts.begun.set(texts.number, text().value);
  texts.number = number;
  text().value = texts.begun.get(number) ?? original(number);
  text().disabled = false;
  showChanges();
}

const shared = { write, preview };

export const demonstration = {
  dress() {},
  acts: shared,
  missing() {
    if (text().value.trim()) return "";
    write();
    return "Write a response first.";
  },
};

export const edit = {
  dress(node) {
    if (!text()) return;
    if (!kept.has(node)) kept.set(node, { begun: new Map(), number: picked() });
    text().disabled = !picked();
    showChanges();
  },
  changed(field) {
    if (field.name === "number") pick(picked());
    if (field === text() && !timer) timer = setTimeout(showChanges, 120);
  },
  acts: shared,
  digit(number) {
    const radio = task().querySelector(`[name=number][value="${number}"]`);
    if (!radio) return false;
    if (!radio.checked) {
      radio.checked = true;
      radio.dispatchEvent(new Event("change", { bubbles: true }));
    }
    return write();
  },
  missing() {
    const number = picked();
    if (!number) return `Pick the response to improve first: 1 to ${task().dataset.count}.`;
    if (!text().value.trim()) return "The improved response is empty; write it, or skip the item.";
    const back = keyWords(keysOf(task()).skip);
    return text().value === original(number) ? `The text is as it was; improve it, or skip the item with ${back}.` : "";
  },
};
