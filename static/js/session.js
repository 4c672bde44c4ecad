// A session that ended while its page stayed open: say so once, ask no more, go on after signing in elsewhere.
import { say } from "./toast.js";

const ended = { token: null, toast: null };

/** The token of the cookie: signing in, in whatever tab, changes it, and the one rendered into the page is then void. */
function token() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? null;
}

function polls(element) {
  return element.matches("[hx-trigger^='every ']");
}

/** A link to the sign-in page that leaves this page, and what is on it, as it is. */
export function signInLink() {
  return document.getElementById("sign-in-shape").content.firstElementChild.cloneNode(true);
}

function onRequest(event) {
  const { elt, verb, headers, parameters } = event.detail;
  const now = token();
  if (ended.toast && polls(elt) && now === ended.token) {
    event.preventDefault();
  } else if (verb !== "get" && now) {
    headers["X-CSRFToken"] = now;
    if (parameters.csrfmiddlewaretoken) parameters.csrfmiddlewaretoken = now;
  }
}

function onAnswer(event) {
  const { xhr } = event.detail;
  if (xhr.status === 401) {
    ended.token = token();
    ended.toast = say(xhr.responseText.trim(), "warning", signInLink());
  } else if (event.detail.successful) {
    ended.toast?.remove();
    ended.toast = null;
  }
}

export function watchSession() {
  document.addEventListener("htmx:configRequest", onRequest);
  document.addEventListener("htmx:afterRequest", onAnswer);
}
