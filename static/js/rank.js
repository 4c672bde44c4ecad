// Ranking: keys, the time a person really spent, and an honest "Saved".
import { actsOnEnter, bindKeys } from "./keyboard.js";
import { signInLink } from "./session.js";
import { say } from "./toast.js";

const IDLE = 60_000;
const task = () => document.getElementById("task");
const judge = () => document.getElementById("judge");
const skip = () => document.getElementById("skip");

// Active time: pauses while the page is hidden; a gap longer than IDLE counts as IDLE.
const clock = { spent: 0, last: performance.now() };

function tick() {
  const now = performance.now();
  if (clock.last !== null) clock.spent += Math.min(now - clock.last, IDLE);
  clock.last = document.hidden ? null : now;
}

function restart() {
  clock.spent = 0;
  clock.last = document.hidden ? null : performance.now();
}

function tell(words, { loud = true, bad = false } = {}) {
  const slot = document.getElementById("saved");
  slot?.classList.toggle("bad", bad);
  if (slot) slot.textContent = words;
  if (loud) document.getElementById("said").textContent = words;
}

// Said beside the task too, where it stays when the toast is closed.
function notice(sentence, link) {
  const shape = document.getElementById("notice-shape");
  const box = shape.content.firstElementChild.cloneNode(true);
  box.querySelector("p").append(sentence, " ", link);
  document.querySelector(".task-notices").replaceChildren(box);
}

function signedOut(xhr) {
  if (xhr.status === 401) notice(xhr.responseText.trim(), signInLink());
}

function choose(value) {
  const radio = judge()?.querySelector(`[name=verdict][value=${value}]`);
  if (!radio || radio.disabled) return false;
  if (!radio.checked) {
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  }
  radio.focus({ preventScroll: true });
  return true;
}

function send() {
  const form = judge();
  if (!form) return false;
  if (!form.querySelector("[name=verdict]:checked")) {
    tell("Choose first: 1, 2, 0 or b.", { bad: true });
    return true;
  }
  form.requestSubmit();
  return true;
}

// While the reasons are open, digits pick a reason; otherwise they judge.
function digit(value, number) {
  if (skip()?.open) {
    const reason = skip().querySelectorAll("[name=reason]")[number - 1];
    reason?.click();
    return true;
  }
  return value ? choose(value) : false;
}

bindKeys({
  1: () => digit("first", 1),
  2: () => digit("second", 2),
  3: () => digit("", 3),
  4: () => digit("", 4),
  5: () => digit("", 5),
  0: () => (skip()?.open ? false : choose("tie")),
  b: () => (skip()?.open ? false : choose("both_bad")),
  Enter: (event) => (actsOnEnter(event.target) ? false : send()),
  s: () => {
    if (!skip()) return false;
    skip().open = !skip().open;
    (skip().open ? skip().querySelector("[name=reason]") : skip().querySelector("summary")).focus();
    return true;
  },
});

for (const name of ["pointerdown", "keydown", "wheel", "scroll", "touchstart"]) {
  document.addEventListener(name, tick, { capture: true, passive: true });
}
document.addEventListener("visibilitychange", tick);

// A form is sent once: the second press while the first travels does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!task()?.contains(form)) return;
  if (form.dataset.sending) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.dataset.sending = "yes";
  tick();
  const spent = form.querySelector("[name=active_ms]");
  if (spent) spent.value = Math.round(clock.spent);
  if (form.id === "judge") {
    window.htmx?.trigger(document.getElementById("verdicts"), "htmx:abort");
    tell("Saving", { loud: false });
    task().setAttribute("aria-busy", "true");
  }
}, true);

// Only the server's word counts: a page that came from elsewhere, such as a proxy's own sign-in, is no answer.
const stored = (xhr) => xhr.getResponseHeader("Prefloop-Saved") === "1";

document.addEventListener("htmx:beforeSwap", (event) => {
  const { requestConfig, xhr } = event.detail;
  if (!["judge", "skip-form"].includes(requestConfig?.elt.id) || stored(xhr) || [409, 422].includes(xhr.status)) return;
  event.detail.shouldSwap = false;
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { requestConfig, xhr } = event.detail;
  const elt = requestConfig?.elt ?? event.detail.elt;
  if (elt.id === "verdicts") {
    if (!xhr.status) return;
    const kept = xhr.status === 204;
    if (kept) document.getElementById("signed-out")?.remove();
    signedOut(xhr);
    tell(kept ? "Choice kept" : "Choice not kept yet", { loud: false, bad: !kept });
    if (xhr.status === 409 && document.contains(elt)) say(xhr.responseText.trim(), "warning");
    return;
  }
  if (!["judge", "skip-form"].includes(elt.id)) return;
  delete elt.dataset.sending;
  task()?.removeAttribute("aria-busy");
  if (stored(xhr)) {
    restart();
    tell(elt.id === "judge" ? "Saved" : "Skipped");
    document.getElementById("task-title")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  } else if (xhr.status) {
    tell("Not saved", { bad: true });
    signedOut(xhr);
    if ([409, 422].includes(xhr.status)) document.querySelector(".task-notices .warn")?.focus();
  }
});

// A refused draft is not a lost draft: the choice stays on the page and goes with the next submit.
document.addEventListener("htmx:sendError", (event) => {
  const form = event.detail.elt;
  delete form.dataset.sending;
  task()?.removeAttribute("aria-busy");
  if (form.id === "judge") tell("Not saved", { bad: true });
});

window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  document.querySelectorAll("#task form").forEach((form) => delete form.dataset.sending);
  say("This page was kept by the browser; what you see may already be judged. Reload to be sure.", "warning");
});
