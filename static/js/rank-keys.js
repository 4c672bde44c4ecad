// Which key does what on the annotating page. The person's keys come with the task; arrows, Ctrl+Enter and Esc are fixed.
import { actsOnEnter, isTyping, onKeys } from "./keyboard.js";
import { keysOf, numberOf } from "./rank-keymap.js";
import { skip, task } from "./rank-page.js";

const PRESSES = ["Enter", "Space"]; // what a button in focus takes for itself
const CALM = 600; // milliseconds in which nothing is done after the screen changed by itself
let calm = 0;

function stops(kind) {
  const fields = kind.stops?.() ?? [...task().querySelectorAll("[data-stop]")];
  const why = task().querySelector("#why");
  return (why && !fields.includes(why) ? [...fields, why] : fields).filter((stop) => stop.offsetParent && !stop.disabled);
}

// Up and down: to the next field or response.
function step(kind, by) {
  const all = stops(kind);
  const at = all.findIndex((stop) => stop.contains(document.activeElement));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))];
  if (!next) return false;
  if (next.matches("[data-scale]")) {
    (next.querySelector("input:checked") ?? next.querySelector("input")).focus({ preventScroll: true });
  } else {
    next.focus({ preventScroll: true });
  }
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function arrow(event, kind) {
  if (event.key === "ArrowUp") return step(kind, -1);
  if (event.key === "ArrowDown") return step(kind, 1);
  if (event.target.matches?.("input[type=radio]")) return false; // the browser moves the choice
  if (event.key === "ArrowLeft") return kind.move?.(-1, event) ?? false;
  return kind.move?.(1, event) ?? false;
}

function reason(names) {
  const number = numberOf(names);
  const found = number && skip().querySelectorAll("[name=reason]")[number - 1];
  found?.click();
  return Boolean(found);
}

function pressed(names, event, kind, acts) {
  const keys = keysOf(task());
  const wanted = names.map((key) => Object.keys(acts).find((name) => keys[name] === key)).find(Boolean);
  if (skip()?.open && wanted !== "skip") return reason(names);
  if (wanted) {
    if (PRESSES.includes(keys[wanted]) && actsOnEnter(event.target)) return false;
    return acts[wanted](event);
  }
  const number = numberOf(names);
  if (number !== null) return kind.digit?.(number) ?? false;
  return event.key.startsWith("Arrow") ? arrow(event, kind) : false;
}

// Within a text only these mean something: Ctrl+Enter sends, Esc leaves, and in a number up and down go on.
function whileTyping(event, kind) {
  if (event.isComposing || !isTyping(event.target) || !task().contains(event.target)) return;
  if (event.key === "Escape") {
    event.target.blur();
    task().querySelector("h1").focus({ preventScroll: true });
  } else if (event.target.type === "number" && ["ArrowUp", "ArrowDown"].includes(event.key)) {
    step(kind, event.key === "ArrowUp" ? -1 : 1);
  } else {
    return;
  }
  event.preventDefault();
}

/** Begin to listen. `kindNow` gives what the kind of task does, `acts` {action: function}, `waits` whether keys rest. */
export function startKeys({ kindNow, acts, send, waits }) {
  onKeys((names, event) => {
    if (waits() || performance.now() < calm) return false;
    const kind = kindNow();
    return pressed(names, event, kind, { ...acts, ...kind.acts });
  });
  document.addEventListener("keydown", (event) => {
    const both = (event.ctrlKey || event.metaKey) && event.key === "Enter";
    if (both && !event.repeat && !event.isComposing && !waits() && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      send();
      return;
    }
    whileTyping(event, kindNow());
  });
  document.addEventListener("rank:moved", () => {
    calm = performance.now() + CALM;
  });
}
