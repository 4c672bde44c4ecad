// The annotating page. An entry module: nothing imports it.
import { spentOn, startClock } from "./rank-clock.js";
import { keepSoon, startDrafts } from "./rank-draft.js";
import { startKeys } from "./rank-keys.js";
import { startBeating } from "./rank-lease.js";
import { ranking } from "./rank-order.js";
import { answer, kindOf, skip, task, tell } from "./rank-page.js";
import { pairwise } from "./rank-pairwise.js";
import { goOn, isWaiting, leave, startQueue, undo } from "./rank-queue.js";
import { review } from "./rank-rag.js";
import { rating } from "./rank-rating.js";
import { dressView, layout, startView, views } from "./rank-view.js";
import { demonstration, edit } from "./rank-write.js";

const KINDS = { pairwise, ranking, rating, demonstration, edit, rag: review };
const NONE = { acts: {}, missing: () => "" };
const PAUSE = 400; // a second press so soon after the next item came was meant for the one before
const seen = { at: -Infinity, touched: false };

// An item that cannot be answered, and a page without one, have only the keys that every page has.
const answerable = () => Boolean(task().querySelector(".submit"));
const kindNow = () => (answerable() ? KINDS[kindOf(task())] : NONE);

function missing() {
  const open = kindNow().missing();
  if (open) return open;
  const why = task().querySelector("#why");
  if (!why?.required || why.value.trim()) return "";
  why.focus();
  return "Say why, in a few words.";
}

function send() {
  if (!answerable() || isWaiting()) return false;
  if (performance.now() - seen.at < PAUSE && !seen.touched) return true;
  const open = missing();
  if (open) tell(open, { bad: true });
  else depart("judge", answer());
  return true;
}

function depart(what, form, button = null) {
  if (what === "judge") {
    for (const [name, value] of [["active_ms", spentOn(task())], ["layout", layout()]]) {
      const input = form.querySelector(`[name=${name}]`) ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name }));
      input.value = value;
    }
  }
  leave(what, form, button);
}

function toggleSkip() {
  if (!skip()) return false;
  skip().open = !skip().open;
  skip().querySelector(skip().open ? "[name=reason]" : "summary").focus();
  return true;
}

function press(id) {
  const found = task().querySelector(id);
  found?.click();
  return Boolean(found);
}

function reasonWhy() {
  const why = task().querySelector("#why");
  why?.focus();
  return Boolean(why);
}

function dress() {
  if (answer()) answer().noValidate = true;
  dressView();
  if (answerable()) kindNow().dress(task());
}

function touch(event) {
  const field = event.target;
  if (!task()?.contains(field) || !answerable() || !field.name || field.form !== answer()) return;
  seen.touched = true;
  if (document.querySelector("#saved.bad")) tell("", { loud: false });
  kindNow().changed?.(field);
  keepSoon(field.matches("textarea, input[type=number]") ? "text" : "choice");
}


document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!["judge", "skip-form", "later-form"].includes(form.id) || !task()?.contains(form)) return;
  event.preventDefault();
  if (form.id === "judge") send();
  else if (!isWaiting()) depart(form.id.replace("-form", ""), form, event.submitter);
});

document.addEventListener("click", (event) => {
  const tool = event.target.closest?.("[data-tool]")?.dataset.tool;
  if (tool) (views[tool] ?? kindNow().acts[tool])?.();
  const link = event.target.closest?.("#undo, #leave");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !task().contains(link)) return;
  event.preventDefault();
  if (link.id === "undo") undo();
  else goOn();
});

document.addEventListener("change", touch);
document.addEventListener("input", (event) => {
  if (event.target.matches?.("textarea, input[type=number]")) touch(event);
});
document.addEventListener("rank:shown", () => {
  Object.assign(seen, { at: performance.now(), touched: false });
  dress();
});

const keys = document.querySelector("#keys .keys");
keys?.replaceChildren(document.getElementById("rank-help").content.cloneNode(true));
startClock();
startView();
dress();
startDrafts();
startQueue();
startBeating();
startKeys({
  kindNow,
  send,
  waits: isWaiting,
  acts: {
    submit: send,
    skip: toggleSkip,
    later: () => press("#later-form button"),
    undo: () => press("#undo"),
    why: reasonWhy,
    ...views,
  },
});
