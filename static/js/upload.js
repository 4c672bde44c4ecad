// A file on its way to the server: bytes sent, how fast, how long still. An entry module; without it the form is sent as it is.
import { signInLink } from "./session.js";
import { say } from "./toast.js";

const UNITS = ["B", "kB", "MB", "GB"];

function size(bytes) {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** step).toFixed(step > 1 ? 1 : 0)} ${UNITS[step]}`;
}

function time(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

const parts = (form) => ({
  state: form.querySelector("[data-upload-state]"),
  bar: form.querySelector("progress"),
  words: form.querySelector("[data-upload-words]"),
  stop: form.querySelector("[data-upload-stop]"),
  send: form.querySelector("[data-upload-send]"),
});

function tell(form, words, bad = false) {
  const { state, words: line } = parts(form);
  state.hidden = false;
  state.classList.toggle("bad", bad);
  line.textContent = words;
}

function release(form, words, bad) {
  const { bar, stop, send } = parts(form);
  tell(form, words, bad);
  bar.hidden = true;
  stop.hidden = true;
  send.disabled = false;
}

// The server answers with the page of the import, or with this page and its sentences in the form.
function answered(form, request) {
  const address = new URL(request.responseURL || location.href);
  if (request.status < 400 && address.pathname.includes("/account/login/")) {
    release(form, "Nothing was imported: you were signed out. The file is still chosen; sign in, then send it again.", true);
    say("You were signed out. Sign in again to go on.", "warning", signInLink());
  } else if (request.status < 400) {
    location.assign(address);
  } else {
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const errors = [...page.querySelectorAll("#upload .error, [data-sentence]")].map((error) => error.textContent.trim());
    release(form, errors.join(" ") || `The server could not answer (${request.status}). Nothing was imported; try again.`, true);
  }
}

function send(form) {
  const { bar, stop, send: button } = parts(form);
  const request = new XMLHttpRequest();
  const began = performance.now();
  bar.hidden = stop.hidden = false;
  bar.value = 0;
  button.disabled = true;
  tell(form, "Sending");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const seconds = (performance.now() - began) / 1000;
    const left = seconds > 1 && loaded < total ? `, ${time((total - loaded) / (loaded / seconds))} left` : "";
    bar.value = loaded / total;
    tell(form, `${size(loaded)} of ${size(total)} sent${left}`);
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value");
    tell(form, "All sent. The server is storing it.");
  });
  request.addEventListener("load", () => answered(form, request));
  request.addEventListener("error", () => release(form, "The connection was lost and nothing was imported. The file is still chosen; send it again.", true));
  request.addEventListener("abort", () => release(form, "Stopped. Nothing was imported.", false));
  stop.onclick = () => request.abort();
  request.open("POST", form.action);
  request.send(new FormData(form));
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-upload]")) return;
  event.preventDefault();
  send(event.target);
});
