// Dragging chips: a press becomes a drag after DISTANCE pixels, so that clicks stay clicks. A leaf module.

const DISTANCE = 8;

// Where a pointer is: over the bucket; on a group (its middle half: as good); beside one (before or after it).
function targetAt(box, x, y) {
  const bucket = box.querySelector(".bucket").getBoundingClientRect();
  if (x >= bucket.left && x <= bucket.right && y >= bucket.top && y <= bucket.bottom) return { how: "bucket" };
  let best = null;
  box.querySelectorAll(".places > li").forEach((group, place) => {
    const area = group.getBoundingClientRect();
    const dx = Math.max(area.left - x, 0, x - area.right);
    const dy = Math.max(area.top - y, 0, y - area.bottom);
    if (!best || dx + dy * 4 < best.far) best = { far: dx + dy * 4, place, area };
  });
  if (!best) return { how: "before", place: 0 };
  const side = (x - best.area.left) / best.area.width;
  if (side > 0.25 && side < 0.75) return { how: "tie", place: best.place };
  return { how: "before", place: side <= 0.25 ? best.place : best.place + 1 };
}

function showTarget(box, target) {
  const groups = box.querySelectorAll(".places > li");
  const before = target?.how === "before" ? target.place : -1;
  groups.forEach((group, place) => {
    group.classList.toggle("drop-tie", target?.how === "tie" && target.place === place);
    group.classList.toggle("drop-before", before === place);
    group.classList.toggle("drop-after", before === groups.length && place === groups.length - 1);
  });
  box.querySelector(".places").classList.toggle("drop-first", before === 0 && !groups.length);
  box.querySelector(".bucket").classList.toggle("drop-here", target?.how === "bucket");
}

// The click that the browser makes of a drag's end is none.
function swallowClick() {
  const stop = (event) => event.stopPropagation();
  addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", stop, { capture: true }));
}

function follow(box, chip, start, drop) {
  const over = new AbortController();
  const watch = { signal: over.signal };
  let target = null;

  function end() {
    over.abort();
    chip.classList.remove("dragged");
    chip.style.transform = "";
    showTarget(box, null);
  }

  document.addEventListener("pointermove", (event) => {
    const [dx, dy] = [event.clientX - start.clientX, event.clientY - start.clientY];
    if (!target && Math.hypot(dx, dy) < DISTANCE) return;
    target = targetAt(box, event.clientX, event.clientY);
    chip.classList.add("dragged");
    chip.style.transform = `translate(${dx}px, ${dy}px)`;
    showTarget(box, target);
  }, watch);
  document.addEventListener("pointerup", () => {
    end();
    if (!target) return;
    swallowClick();
    drop(Number(chip.dataset.chip), target);
  }, watch);
  document.addEventListener("pointercancel", end, watch);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") end();
  }, watch);
}

/** Let the chips of a box be dragged; `drop(number, target)` is told where one was let go. */
export function startDragging(box, drop) {
  box.addEventListener("pointerdown", (event) => {
    const chip = event.target.closest("[data-chip]");
    if (!chip || event.button !== 0) return;
    if (event.pointerType !== "mouse" && !event.target.closest(".grip")) return; // a finger elsewhere scrolls or taps
    follow(box, chip, event, drop);
  });
}
