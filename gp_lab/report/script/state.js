// The dashboard: these files are one script of the page, in the order of page.py. Its data are one
// JSON in the page; all of them come into the page as text, never as HTML. What is chosen stands
// behind the # of the address, so that an address shows it again.

const DATA = JSON.parse(document.getElementById("data").textContent);
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a6d00", "#7f7f7f"];
const FIRST = 6, ROWS = 300, WIDE = 4;  // groups drawn unasked, rows and metrics shown at first

/** f: filter; g: groups drawn; b: baseline; m: metrics; s: sorting; o: groups whose runs are listed;
    x, lx, ly, smooth, each: of curves; kind, step: of pictures; hx, hy, hm: of the heat map, hm of
    the coordinates too; pc: keys that were chosen on the coordinates; r: sorting of runs. */
const chosen = { f: "", g: [], b: "", m: [], s: "", o: [], x: "step", lx: false, ly: false, smooth: 0, each: false,
  kind: "", step: "", hx: "", hy: "", hm: "", pc: [], r: "" };

/** What is on show: the groups that pass the filter in their order, the keys that tell them apart,
    those that tell the drawn ones apart, metrics, and the places of the runs that pass. */
let view = { groups: [], keys: [], labels: [], metrics: [], drawn: [], passing: new Set() };
let all = false;

const $ = (id) => document.getElementById(id);

/** An element with properties; `at` is what it is found by when all is drawn again. */
function h(tag, { at, ...props }, ...inside) {
  const node = Object.assign(document.createElement(tag), props);
  if (at) node.dataset.at = at;
  node.append(...inside.flat().filter((x) => x !== null && x !== undefined));
  return node;
}

function svg(tag, attributes, ...inside) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside.flat());
  return node;
}

function memo(make) {
  const kept = new Map();
  return (key) => kept.has(key) ? kept.get(key) : (kept.set(key, make(key)), kept.get(key));
}

function select(value, options, change, label, at = label) {
  const list = options.map(([v, text]) => h("option", { value: v, selected: v === value }, text));
  return h("label", {}, label, " ", h("select", { at, onchange: (e) => change(e.target.value) }, list));
}

function swatch(colour) {
  const node = h("span", { className: "swatch" });
  node.style.background = colour;
  return node;
}

const small = (text) => h("p", { className: "small" }, text);
const unpacked = memo((place) => new Float32Array(Uint8Array.from(atob(DATA.packed[place]), (c) => c.charCodeAt(0)).buffer));
const numeric = (x) => x === null || x === undefined ? NaN : +String(x).replace(/^(-?)inf$/, "$1Infinity");
const METRIC = new Map(DATA.metrics.map((name, i) => [name, i]));
const colourOfGroup = (n) => n < 0 ? "transparent" : COLOURS[n % COLOURS.length];
