// Draws every <div class="chart" data-spec="ID"> from the JSON beside it, in the colours of the page.
// An entry module. The bundle vendor/vega-embed.js sets the global vegaEmbed; without it the table opens instead.

const drawn = new WeakMap();
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** The colour behind a custom property, as the browser resolves it for light or dark. */
function token(name) {
  probe.style.color = "";
  probe.style.color = `var(${name})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  return `#${[red, green, blue].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

/** Specs name colours as "var(--chosen)"; Vega needs them resolved. */
function resolve(node) {
  if (typeof node === "string") return node.replace(/^var\((--[\w-]+)\)$/, (_, name) => token(name));
  if (Array.isArray(node)) return node.map(resolve);
  if (node && typeof node === "object") return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value)]));
  return node;
}

function theme() {
  const [ink, quiet, line] = [token("--ink"), token("--ink-2"), token("--line")];
  const font = getComputedStyle(document.body).fontFamily;
  return {
    aria: false,
    background: "transparent",
    font,
    view: { stroke: null },
    axis: { labelColor: quiet, titleColor: quiet, tickColor: line, domainColor: token("--line-strong"), gridColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400, tickSize: 4, labelPadding: 4, labelLimit: 220, labelSeparation: 6 },
    axisY: { domain: false, ticks: false },
    axisX: { grid: false },
    axisQuantitative: { tickCount: 6 },
    legend: { labelColor: quiet, titleColor: quiet, labelFontSize: 12, titleFontWeight: 400, orient: "top", title: null },
    header: { labelColor: quiet, titleColor: quiet },
    text: { color: ink, fontSize: 12 },
    mark: { color: token("--accent") },
    line: { strokeWidth: 1.75 },
    point: { filled: true, size: 70, opacity: 1 },
    bar: { color: token("--accent"), continuousBandSize: 14 },
    rule: { color: token("--baseline") },
    range: { category: ["--chosen", "--rejected", "--running", "--warn", "--accent", "--tie"].map(token) },
  };
}

// The spec without its rows: when only the rows differ, the drawing keeps and the rows change.
function split(spec) {
  const rows = Array.isArray(spec.data?.values) ? spec.data.values : null;
  if (!rows) return { shape: JSON.stringify(spec), rows: null };
  return { shape: JSON.stringify({ ...spec, data: { name: "rows" } }), rows };
}

function fallBack(box) {
  box.dataset.state = "failed";
  box.closest("figure")?.querySelector("details")?.setAttribute("open", "");
}

async function draw(box, { again = false } = {}) {
  const source = document.getElementById(box.dataset.spec);
  if (!source) return;
  if (!window.vegaEmbed) { fallBack(box); return; }
  const spec = JSON.parse(source.textContent);
  const { shape, rows } = split(spec);
  const before = drawn.get(box);
  if (before && !again && before.shape === shape) {
    if (rows && before.rows !== JSON.stringify(rows)) {
      before.rows = JSON.stringify(rows);
      await before.view.data("rows", rows).runAsync();
    }
    return;
  }
  drawn.set(box, { shape, rows: JSON.stringify(rows), view: before?.view ?? { data: () => ({ runAsync: async () => {} }) } });
  box.style.minHeight = `${box.offsetHeight}px`;
  const { $schema, title, table, n_words: n, ...rest } = resolve(spec);
  const full = { width: "container", height: 220, ...rest, config: { ...theme(), ...(rest.config ?? {}) } };
  if (typeof full.height === "number") full.autosize ??= { type: "fit", contains: "padding" };
  if (rows) full.data = { name: "rows", values: rows };
  try {
    const result = await window.vegaEmbed(box, full, { actions: false, renderer: "svg", logLevel: 1, ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true, theme: "custom" } });
    before?.view.finalize?.();
    drawn.set(box, { shape, rows: JSON.stringify(rows), view: result.view });
    box.dataset.state = "drawn";
  } catch (error) {
    console.warn("This chart could not be drawn; its table is open instead.", error);
    fallBack(box);
  } finally {
    box.style.minHeight = "";
  }
}

function drawAll(options) {
  document.querySelectorAll(".chart[data-spec]").forEach((box) => draw(box, options));
}

drawAll();
document.addEventListener("htmx:afterSwap", () => drawAll());
document.addEventListener("prefloop:preference", (event) => {
  if (event.detail.name === "theme") drawAll({ again: true });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll({ again: true }));
