// Ctrl+K: jump to any link of the page's navigation, breadcrumb or tables.

function places() {
  const seen = new Map();
  for (const link of document.querySelectorAll(".rail a[href], .crumbs a[href], main a[data-jump], main .table td > a:first-child")) {
    const words = link.textContent.trim().replace(/\s+/g, " ");
    if (words && !seen.has(link.href)) {
      seen.set(link.href, { words, href: link.href, kind: link.closest("main") ? "on this page" : "" });
    }
  }
  return [...seen.values()];
}

function matches(words, typed) {
  const text = words.toLowerCase();
  return typed.toLowerCase().split(/\s+/).every((part) => text.includes(part));
}

export function startPalette() {
  const dialog = document.getElementById("palette");
  if (!dialog) return () => {};
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("[role=listbox]");
  const none = dialog.querySelector(".none");
  let found = [];
  let at = 0;

  function mark(index) {
    at = Math.max(0, Math.min(index, found.length - 1));
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    const current = list.children[at];
    current?.scrollIntoView({ block: "nearest" });
    if (current) input.setAttribute("aria-activedescendant", current.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function draw() {
    found = places().filter((place) => matches(place.words, input.value)).slice(0, 40);
    list.replaceChildren(...found.map((place, i) => {
      const option = document.createElement("li");
      const kind = document.createElement("small");
      kind.textContent = place.kind;
      option.id = `palette-${i}`;
      option.setAttribute("role", "option");
      option.append(place.words, kind);
      option.addEventListener("click", () => location.assign(place.href));
      return option;
    }));
    none.hidden = found.length > 0;
    mark(0);
  }

  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at - 1);
    else if (event.key === "Enter" && found[at]) location.assign(found[at].href);
    else return;
    event.preventDefault();
  });

  return () => {
    if (dialog.open) return dialog.close();
    input.value = "";
    dialog.showModal();
    draw();
    input.focus();
  };
}
