// A conversation: answers are shown as they are written, Enter sends, digits vote. An entry module.
// The page asks in short requests what was written since: it holds no thread of the server while it waits.
import { actsOnEnter, bindKeys } from "./keyboard.js";
import { say } from "./toast.js";

const SOON = 250;
const LATER = 1000; // nothing is written yet, or the page is not looked at
const NEAR = 120; // pixels

const composer = document.getElementById("composer");
const message = composer.querySelector("textarea[name=text]");
const talk = () => document.getElementById("talk");
let following = "";
let sent = "";

function atEnd() {
  const page = document.scrollingElement;
  return page.scrollHeight - page.scrollTop - page.clientHeight < NEAR + composer.offsetHeight;
}

function toEnd() {
  document.scrollingElement.scrollTop = document.scrollingElement.scrollHeight;
}

function show(box, reply) {
  const text = box.querySelector("[data-text]");
  box.dataset.answerState = reply.state;
  box.querySelector("[data-words]").textContent = reply.words;
  if (!text) return false;
  if (reply.again) text.textContent = "";
  if (reply.text) text.append(reply.text);
  text.dataset.next = reply.next;
  return reply.text !== "";
}

// Answers how soon to look again; 0 where the turn is over and stands on the page as the server shows it.
async function look() {
  const place = talk();
  const asked = new URLSearchParams({ turn: place.dataset.live });
  for (const text of place.querySelectorAll("[data-last] [data-text]")) {
    asked.set(text.closest("[data-place]").dataset.place, text.dataset.next);
  }
  const answer = await fetch(`${place.dataset.state}?${asked}`, { headers: { Accept: "application/json" } });
  if (!answer.ok || !answer.headers.get("Content-Type")?.includes("json")) return answer.status < 500 ? 0 : LATER;
  const state = await answer.json();
  if (place !== talk()) return SOON;
  if (state.changed || !state.live) {
    await window.htmx.ajax("GET", place.dataset.here, { target: "#talk", swap: "outerHTML" });
    return 0;
  }
  const follows = atEnd();
  let moved = false;
  for (const reply of state.replies) {
    const box = place.querySelector(`[data-last] [data-place=${reply.place}]`);
    if (box) moved = show(box, reply) || moved;
  }
  if (moved && follows) toEnd();
  return moved ? SOON : LATER / 2;
}

async function follow(turn) {
  let pause = SOON;
  try {
    pause = document.hidden ? LATER : await look();
  } catch {
    pause = LATER; // the server did not answer; the page waits for it
  }
  if (following !== turn) return;
  if (pause) {
    setTimeout(follow, pause, turn);
  } else {
    following = "";
    begin();
  }
}

function begin() {
  const live = talk()?.dataset.live ?? "";
  if (live && live !== following) {
    following = live;
    setTimeout(follow, SOON, live);
  }
}

function press(selector) {
  const button = document.querySelector(selector);
  button?.click();
  return button !== null;
}

message.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey) {
    event.preventDefault();
    if (message.value.trim()) composer.requestSubmit();
  } else if (event.key === "Escape") {
    if (!press("[data-stop-button]")) message.blur();
  }
});

bindKeys({
  1: () => press("#vote [value=left]"),
  2: () => press("#vote [value=right]"),
  t: () => press("#vote [value=tie]"),
  b: () => press("#vote [value=both_bad]"),
  Escape: () => press("[data-stop-button]"),
  Enter: (event) => {
    if (actsOnEnter(event.target)) return false;
    message.focus();
    return true;
  },
});

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.elt === composer) sent = message.value;
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.elt !== composer) return;
  if (detail.successful && detail.xhr.status < 300) {
    if (message.value === sent) message.value = ""; // else somebody went on writing
    composer.querySelector("textarea[name=contexts]").value = "";
    if (document.querySelector(".chat-two")) message.blur(); // so that digits vote
  } else if (detail.failed && detail.xhr.status >= 500) {
    say("The server could not take the message. It is still in the box; send it again.");
  }
});

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target?.id !== "talk" && detail.elt?.id !== "talk") return;
  const own = detail.requestConfig?.elt === composer;
  if (own || (detail.requestConfig?.verb === "get" && atEnd())) toEnd();
  begin();
});

if (talk().querySelector("[data-last]")) toEnd();
else message.focus();
begin();
