// Draws every <div class="chart" data-spec="ID"> from the JSON beside it. An entry module.
// Colours stay "var(--chosen)" down to the SVG, so the page's scheme and print decide, and nothing is drawn twice.
// The bundle vendor/vega-embed.js sets the global vegaEmbed; without it the table opens instead.

const drawn = new WeakMap();
const v = (name) => `var(--${name})`;

function theme() {
  return {
    aria: false,
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: {
      labelColor: v("ink-2"), titleColor: v("ink-2"), tickColor: v("line"), domainColor: v("line-strong"), gridColor: v("line"),
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400, tickSize: 4, labelPadding: 4, labelLimit: 220, labelSeparation: 6,
    },
    axisY: { domain: false, ticks: false },
    axisX: { grid: false },
    axisQuantitative: { tickCount: 6 },
    legend: { labelColor: v("ink-2"), titleColor: v("ink-2"), labelFontSize: 12, titleFontWeight: 400, orient: "top", title: null },
    header: { labelColor: v("ink-2"), titleColor: v("ink-2") },
    text: { color: v("ink"), fontSize: 12 },
    mark: { color: v("accent") },
    line: { color: v("accent"), strokeWidth: 1.75 },
    point: { color: v("accent"), filled: true, size: 70, opacity: 1 },
    bar: { color: v("accent"), continuousBandSize: 14 },
    rule: { color: v("baseline") },
    range: { category: ["chosen", "rejected", "running", "warn", "accent", "tie"].map(v) },
  };
}

// The spec without its rows: while only the rows differ, the drawing stays and the rows change.
function read(box) {
  const { $schema, title, table, n_words: words, ...spec } = JSON.parse(document.getElementById(box.dataset.spec).textContent);
  const rows = Array.isArray(spec.data?.values) ? spec.data.values : null;
  if (rows) spec.data = { name: "rows" };
  return { spec, rows, shape: JSON.stringify(spec), content: JSON.stringify(rows) };
}

function complete({ spec, rows }) {
  const full = { width: "container", height: 220, ...spec, config: { ...theme(), ...spec.config } };
  if (typeof full.height === "number") full.autosize ??= { type: "fit-x", contains: "padding" }; // the axis comes below the height
  if (rows) full.data = { name: "rows", values: rows };
  return full;
}

function openTable(box) {
  box.dataset.state = "failed";
  box.closest("figure")?.querySelector("details")?.setAttribute("open", "");
}

const OPTIONS = {
  actions: false, renderer: "svg", ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true, theme: "custom" },
};

async function draw(box) {
  if (!window.vegaEmbed) return openTable(box);
  const next = read(box);
  const last = drawn.get(box);
  drawn.set(box, { ...next, view: last?.view });
  try {
    if (last?.view && last.shape === next.shape) {
      if (last.content !== next.content) await last.view.data("rows", next.rows).runAsync();
      return;
    }
    box.style.minHeight = `${box.offsetHeight}px`;
    const { view } = await window.vegaEmbed(box, complete(next), OPTIONS);
    last?.view?.finalize();
    drawn.set(box, { ...next, view });
    box.dataset.state = "drawn";
    box.querySelector("svg")?.setAttribute("aria-hidden", "true"); // the box is the image, and has the name
  } catch (error) {
    console.warn("This chart could not be drawn; its table is open instead.", error);
    openTable(box);
  } finally {
    box.style.minHeight = "";
  }
}

function drawAll() {
  document.querySelectorAll(".chart[data-spec]").forEach(draw);
}

drawAll();
document.addEventListener("htmx:afterSwap", drawAll);
