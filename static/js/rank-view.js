// How the task is shown: stacked or side by side, raw or rendered, with or without the guidelines. Kept with the person.
import { exactText, page, task } from "./rank-page.js";
import { ask } from "./rank-send.js";

const guide = () => document.getElementById("guide");
const narrow = matchMedia("(max-width: 900px)");

/** How the responses really stand, for the record. */
export const layout = () => (page.dataset.layout === "stacked" || narrow.matches ? "stacked" : "side");

function keep(what, value) {
  ask(page.dataset.choose, new URLSearchParams({ what, value })).catch(() => null); // it then holds for this page only
}

function press() {
  const pressed = {
    layout: page.dataset.layout === "stacked",
    raw: page.dataset.text === "raw",
    guide: guide()?.open ?? false,
  };
  for (const [tool, on] of Object.entries(pressed)) {
    document.querySelector(`[data-tool=${tool}]`)?.setAttribute("aria-pressed", String(on));
  }
}

// The exact characters are written out when they are first asked for.
function showRaw() {
  if (page.dataset.text !== "raw") return;
  for (const template of page.querySelectorAll("template[data-raw]:not([data-out])")) {
    const box = document.createElement("div");
    box.className = "text raw";
    box.dir = "auto";
    box.textContent = exactText(template.parentElement);
    template.dataset.out = "";
    template.after(box);
  }
}

/** A task has come onto the screen. */
export function dressView() {
  showRaw();
  press();
  renewGuide();
}

export const views = {
  layout() {
    page.dataset.layout = page.dataset.layout === "stacked" ? "side" : "stacked";
    keep("layout", page.dataset.layout);
    press();
  },
  raw() {
    page.dataset.text = page.dataset.text === "raw" ? "shown" : "raw";
    keep("raw", page.dataset.text === "raw" ? "raw" : "");
    dressView();
  },
  guide() {
    if (!guide()) return false;
    guide().open = !guide().open; // the toggle event keeps it
    return true;
  },
};

// The task says by which guidelines it is to be judged; where they are newer than those on the page, fetch them.
async function renewGuide() {
  const wanted = task().dataset.guideline;
  if (!wanted || wanted === guide()?.dataset.guideline) return;
  const reply = await fetch(page.dataset.home, { credentials: "same-origin" }).catch(() => null);
  const fresh = reply?.ok ? new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("guide") : null;
  if (!fresh || task().dataset.guideline !== fresh.dataset.guideline) return;
  if (guide()) {
    fresh.open = guide().open;
    guide().replaceWith(document.adoptNode(fresh));
  } else {
    page.prepend(document.adoptNode(fresh));
  }
  watchGuide();
  showRaw();
  press();
}

function watchGuide() {
  let was = guide().open;
  guide().addEventListener("toggle", () => {
    if (guide().open === was) return;
    was = guide().open;
    keep("guide", was ? "open" : "closed");
    press();
  });
  document.getElementById("guide-read")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const reply = await ask(event.target.getAttribute("action"), new URLSearchParams()).catch(() => null);
    if (reply?.status !== 204) return;
    document.getElementById("guide-new")?.remove();
    event.target.remove();
    guide().querySelector(".guide-text").focus();
  });
}

export function startView() {
  if (guide()) watchGuide();
  dressView();
}
