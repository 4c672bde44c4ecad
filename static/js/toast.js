// Toasts: short sentences at the corner. A leaf module.

const STAY = 7000;

function leave(toast) {
  const hadFocus = toast.contains(document.activeElement);
  toast.remove();
  if (hadFocus) document.getElementById("main")?.focus();
}

/** Good news leaves by itself; warnings and errors stay until they are closed. */
export function settle(toast) {
  if (toast.matches(".error, .warning")) return;
  const timer = setTimeout(() => leave(toast), STAY);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("focusin", () => clearTimeout(timer));
}

/** One sentence, once: saying it again moves it to the end. `link`, an element, stands after it. */
export function say(sentence, level = "error", link = null) {
  const list = document.getElementById("toasts");
  const shape = document.getElementById("toast-shape");
  if (!list || !shape) return null;
  for (const old of list.children) if (old.querySelector("p")?.firstChild?.data === sentence) old.remove();
  const toast = shape.content.firstElementChild.cloneNode(true);
  toast.classList.add(level);
  toast.querySelector("p").textContent = sentence;
  if (link) toast.querySelector("p").append(" ", link);
  list.append(toast);
  settle(toast);
  return toast;
}

/** Closing and settling of the toasts that came with the page. */
export function startToasts() {
  const list = document.getElementById("toasts");
  if (!list) return;
  list.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) leave(event.target.closest(".toast"));
  });
  list.querySelectorAll(".toast").forEach(settle);
}
