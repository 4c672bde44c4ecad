// What comes next is there already; what was answered travels behind the person's back until the server has it.
import { attend } from "./rank-clock.js";
import { dropDraft, keepNow } from "./rank-draft.js";
import { openOutbox } from "./rank-outbox.js";
import { addressOf, field, forget, idOf, notice, page, readTask, sentenceOf, task, tell } from "./rank-page.js";
import { ask, fieldsOf } from "./rank-send.js";
import { isTyping } from "./keyboard.js";
import { sayIn, sayOut } from "./rank-session.js";

const WAITS = [1, 2, 4, 8, 16, 30]; // seconds
const DONE = { judge: "Saved", skip: "Skipped", later: "Put to the end of your queue" };
const OVER = [400, 413, 422]; // The answer itself is wrong: it is on the screen again, and not sent as it was.
const outbox = openOutbox(page.dataset.person, page.dataset.project);
const ready = []; // tasks that are shown next, the first first
const left = new Map(); // the key of an answer → its task, until the server has it
const state = { waiting: "", failures: 0, timer: 0, running: null, asking: null, dry: false };

/** True while the screen waits for the server: nothing was ready. */
export const isWaiting = () => state.waiting !== "";

/** The tasks that are held: on the screen, and next. */
export const held = () => [task(), ...ready].filter(idOf);

/** Put a task on the screen. The progress line stays; only its numbers move. */
export function show(node) {
  const head = document.getElementById("head");
  node.querySelector(".task-head")?.remove();
  node.querySelector("h1").after(head);
  task().replaceWith(node);
  node.removeAttribute("aria-busy");
  state.waiting = "";
  attend();
  document.dispatchEvent(new CustomEvent("rank:shown", { detail: { node } }));
  node.querySelector("h1").focus({ preventScroll: true });
  window.scrollTo(0, 0);
  prefetch();
}

function recount(node) {
  const counts = node.querySelector("#counts");
  if (counts) document.getElementById("counts").replaceWith(counts.cloneNode(true));
}

// Without an item after this one there is no new progress line either.
function countOne(what) {
  if (what !== "judge") return;
  for (const [name, by] of [["done", 1], ["today", 1], ["left", -1]]) {
    const slot = document.querySelector(`#counts [data-number=${name}]`);
    if (!slot || slot.textContent.includes("+")) continue;
    slot.textContent = Math.max(0, Number(slot.textContent.replaceAll(",", "")) + by).toLocaleString("en-US");
  }
}

function arrive(node) {
  const id = idOf(node);
  if (!id || outbox.holds(id) || held().some((other) => idOf(other) === id)) return;
  if (state.waiting) show(node);
  else ready.push(node);
}

/** Ask for the item after the one on the screen, unless it is here or on its way. */
export function prefetch() {
  const shown = task();
  if (state.asking || state.dry || ready.length || outbox.size || !idOf(shown)) return;
  state.asking = ask(addressOf(shown, "ahead/")).then(
    ({ status, text }) => {
      state.asking = null;
      if (status === 204) state.dry = true;
      if (status === 200) arrive(readTask(text));
    },
    () => {
      state.asking = null; // asked again with the next heartbeat
    },
  );
}

/** Whether there is something after this one may have changed. */
export function lookAgain() {
  state.dry = false;
  prefetch();
}

/** Send what a form of the task says, and show the next one at once. `what` is judge, skip or later. */
export function leave(what, form, button = null) {
  const node = task();
  const key = field(node, "client_key");
  outbox.put({ key, what, address: form.getAttribute("action"), body: `${fieldsOf(form, button)}`, assignment: idOf(node) });
  left.set(key, node);
  dropDraft();
  forget("refused");
  tell(what === "judge" ? "Saving" : "Sending", { loud: false });
  state.dry = false;
  const next = ready.shift();
  if (next) show(next);
  else wait(key);
  pump();
}

function wait(key) {
  state.waiting = key;
  task().setAttribute("aria-busy", "true");
}

function pump() {
  clearTimeout(state.timer);
  state.running ??= sendAll().finally(() => {
    state.running = null;
    if (!outbox.size) prefetch();
  });
  return state.running;
}

async function sendAll() {
  while (outbox.size && (await deliver(outbox.first())));
}

// True where the next one may be sent.
async function deliver(entry) {
  const body = new URLSearchParams(entry.body);
  const shown = idOf(task());
  if (shown && state.waiting !== entry.key && shown !== entry.assignment) body.set("ahead", shown);
  let reply;
  try {
    reply = await ask(entry.address, body);
  } catch {
    return tryLater();
  }
  if (reply.status >= 500 || reply.status === 429) {
    outbox.postpone(entry.key);
    return tryLater();
  }
  state.failures = 0;
  if (reply.saved) stored(entry, reply);
  else if (reply.status === 409) tooLate(entry, reply);
  else refused(entry, reply);
  return reply.saved || reply.status === 409 || OVER.includes(reply.status);
}

function tryLater() {
  const pause = WAITS[Math.min(state.failures, WAITS.length - 1)];
  state.failures += 1;
  state.timer = setTimeout(pump, pause * 1000);
  tell("Not saved yet: trying again", { bad: true });
  if (state.waiting) {
    const kept = outbox.size === 1 ? "Your answer is" : `Your ${outbox.size} answers are`;
    notice(`The server does not answer. ${kept} kept in this browser and sent as soon as it does.`, { name: "unsent" });
  }
  return false;
}

function stored(entry, reply) {
  outbox.drop(entry.key);
  left.delete(entry.key);
  sayIn();
  forget("unsent");
  const next = readTask(reply.text);
  if (next) recount(next);
  else countOne(entry.what);
  if (reply.status === 204) state.dry = true;
  if (next && state.waiting === entry.key) show(next);
  else arrive(next);
  if (!outbox.size) tell(DONE[entry.what]);
}

// The item is not this person's any more: what they said was kept as a draft, and they go on.
function tooLate(entry, reply) {
  outbox.drop(entry.key);
  left.delete(entry.key);
  const next = readTask(reply.text);
  const conflict = sentenceOf(reply.text, reply.status);
  if (next && state.waiting === entry.key) show(next);
  if (entry.what === "later") return tell(DONE.later); // sent twice: it went the first time
  if (!task().querySelector("[data-conflict]")) notice(conflict, { name: "refused" });
  tell("Not saved", { bad: true });
  task().querySelector(".task-notices .warn")?.focus();
}

function refused(entry, reply) {
  const node = left.get(entry.key) ?? readTask(reply.text);
  left.delete(entry.key);
  if (OVER.includes(reply.status)) outbox.drop(entry.key);
  else outbox.hold(entry.key);
  const out = reply.status === 401;
  const words = reply.status === 200 ? "The page that answered was not ours, so nothing was saved. Try again." : sentenceOf(reply.text, reply.status);
  if (idOf(node) === entry.assignment) bringBack(node, words);
  else notice(words, { name: "refused" });
  if (out) sayOut(words);
  tell("Not saved", { bad: true });
  task().querySelector(".task-notices .warn")?.focus();
}

// Who is writing is not torn away: the item comes next.
function bringBack(node, words) {
  node.querySelectorAll("[data-notice], [data-conflict]").forEach((old) => old.remove());
  const shown = task();
  if (shown === node) {
    state.waiting = "";
    node.removeAttribute("aria-busy");
  } else if (isTyping(document.activeElement) && shown.contains(document.activeElement)) {
    ready.unshift(node);
    notice(`The answer before this one was not saved; it comes next. ${words}`, { name: "refused" });
    return;
  } else {
    keepNow();
    if (idOf(shown) && !state.waiting) ready.unshift(shown);
    show(node);
    document.dispatchEvent(new CustomEvent("rank:moved"));
  }
  notice(words, { name: "refused" });
}

/** My last answer, to be changed; the item on the screen comes after it. */
export async function undo() {
  if (isWaiting()) return;
  if (task().hasAttribute("data-revises")) return tell("This is your last answer.");
  await state.running;
  if (outbox.size) return tell("The answer before is not saved yet; undo it once it is.", { bad: true });
  const shown = task();
  const reply = await ask(`${page.dataset.home}undo/`).catch(() => null);
  if (task() !== shown) return;
  const node = reply?.status === 200 ? readTask(reply.text) : null;
  if (!node) return tell(reply ? sentenceOf(reply.text, reply.status) : "The server does not answer; try again.", { bad: true });
  keepNow();
  if (idOf(shown)) ready.unshift(shown);
  show(node);
  tell("Your last answer");
}

/** Back to where I was, with the earlier answer as it stands. */
export async function goOn() {
  dropDraft();
  const next = ready.shift();
  if (next) return show(next);
  const reply = await ask(page.dataset.home).catch(() => null);
  const node = reply?.status === 200 ? readTask(reply.text) : null;
  if (node) show(node);
  else tell("The server does not answer; try again.", { bad: true });
}

/** A task that is not held any more is not shown next. */
export function discard(node) {
  const at = ready.indexOf(node);
  if (at >= 0) ready.splice(at, 1);
}

export function startQueue() {
  window.addEventListener("online", () => {
    state.failures = 0;
    pump();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && outbox.size) pump();
  });
  window.addEventListener("beforeunload", (event) => {
    if (outbox.size) event.preventDefault();
  });
  if (!outbox.size) return prefetch();
  const own = outbox.holds(idOf(task()));
  if (own) wait(own.key);
  tell("Sending what was kept from before", { loud: false });
  pump();
}
