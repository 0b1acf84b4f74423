"use strict";
// The dashboard. Its data are one JSON in the page; all of them come into the page as text, never
// as HTML. What is chosen stands behind the # of the address, so that an address shows it again.
(() => {
const DATA = JSON.parse(document.getElementById("data").textContent);
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a6d00", "#7f7f7f"];
const FIRST = 5, ROWS = 300, WIDE = 4;  // groups drawn unasked, rows and metrics shown at first
const chosen = { f: "", g: [], b: "", m: [], s: "", x: "step", lx: false, ly: false, smooth: 0, each: false,
  kind: "", step: "", hx: "", hy: "", hm: "" };
let all = false, charts = [];

// -- small things ---------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

function h(tag, props, ...inside) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...inside.flat().filter((x) => x !== null && x !== undefined));
  return node;
}

const memo = (make) => { const kept = new Map(); return (key) => kept.has(key) ? kept.get(key) : (kept.set(key, make(key)), kept.get(key)); };
const unpacked = memo((text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
const numeric = (x) => x === null || x === undefined ? NaN : +String(x).replace(/^(-?)inf$/, "$1Infinity");
const places = (names) => new Map(names.map((name, i) => [name, i]));
const METRIC = places(DATA.metrics);

function select(value, options, change, label) {
  const list = options.map(([v, text]) => h("option", { value: v, selected: v === value }, text));
  return h("label", {}, label, " ", h("select", { onchange: (e) => change(e.target.value) }, list));
}

// -- runs and filters -----------------------------------------------------------------------

const RUNS = DATA.runs, GROUP_OF = new Map();
for (const group of DATA.groups) {
  group.keys = new Map(group.values.map((i) => [DATA.pairs[i][0], DATA.pairs[i]]));
  for (const i of group.runs) GROUP_OF.set(i, group);
}
const configOf = memo((i) => new Map(RUNS[i].config.map((p) => [DATA.pairs[p][0], DATA.pairs[p]])));
const textOf = memo((i) => [RUNS[i].name, RUNS[i].state, ...RUNS[i].figures,
  ...(GROUP_OF.get(i)?.values ?? []).map((p) => DATA.pairs[p][1])].join(" ").toLowerCase());

/** What a filter asks a run about: a list of [text, number]; undefined if it has no such key. */
function facts(i, key) {
  const run = RUNS[i], pair = configOf(i).get(key);
  if (key === "figure") return run.figures.length ? run.figures.map((f) => [f, NaN]) : [["none", NaN]];
  if (pair) return [[pair[1], numeric(pair[2])]];
  if (key === "name" || key === "state") return [[run[key], NaN]];
  if (key === "step") return [[String(run.step), +run.step]];
  const value = METRIC.has(key) ? numeric(run.last[METRIC.get(key)]) : NaN;
  return Number.isNaN(value) ? undefined : [[String(value), value]];
}

/** One word of the filter as a test of runs; `key` is undefined for free text. */
function test(word) {
  const found = /^([\w./@:$-]+?)(>=|<=|!=|=|~|>|<)(.*)$/.exec(word);
  if (!found) return { holds: (i) => textOf(i).includes(word.toLowerCase()) };
  const [, key, sign, written] = found;
  const compare = { ">=": (x, n) => x >= n, "<=": (x, n) => x <= n, ">": (x, n) => x > n, "<": (x, n) => x < n }[sign];
  const options = written.split(",").map((text) => {
    const range = text.includes("/") ? null : /^(.*?)\.\.(.*)$/.exec(text);
    const [low, high] = range ? [range[1] || -Infinity, range[2] || Infinity].map(Number) : [NaN, NaN];
    return Number.isNaN(low + high) && low !== -high ? { text, n: text === "" ? NaN : +text } : { low, high };
  });
  const one = ([text, n]) => compare ? compare(n, +written)
    : sign === "~" ? text.toLowerCase().includes(written.toLowerCase())
      : options.some((o) => "low" in o ? n >= o.low && n <= o.high : text === o.text || n === o.n);
  const holds = (i) => { const has = facts(i, key); return has !== undefined && has.some(one) !== (sign === "!="); };
  return { key, holds };
}

/** The runs that pass, in a set, and the words that name a key which no run has. */
function filtered() {
  const tests = chosen.f.split(/\s+/).filter(Boolean).map(test);
  const unknown = tests.filter((t) => t.key && !RUNS.some((_, i) => facts(i, t.key))).map((t) => t.key);
  return { unknown, runs: new Set(RUNS.keys().filter((i) => tests.every((t) => t.holds(i)))) };
}

/** The groups with the runs that pass; `whole` where none of a group's is missing. */
function groupsOf(passing) {
  return DATA.groups.map((group) => {
    const runs = group.runs.filter((i) => passing.has(i));
    return { ...group, runs, whole: runs.length === group.runs.length };
  }).filter((group) => group.runs.length);
}

/** The keys that tell these groups apart, and do so where the choices above them are the same. */
function telling(groups) {
  const probes = (key) => key.startsWith("probe"), text = (g, key) => g.keys.get(key)?.[1] ?? "";
  const keys = [...new Set(groups.flatMap((g) => [...g.keys.keys()]))].sort((a, b) => probes(a) - probes(b));
  return keys.filter((key) => {
    const above = keys.filter((k) => key.startsWith(`${k}.`)), values = new Map();
    for (const g of groups) {
      const at = JSON.stringify(above.map((k) => text(g, k)));
      values.set(at, (values.get(at) ?? new Set()).add(text(g, key)));
    }
    return [...values.values()].some((found) => found.size > 1);
  });
}

// -- statistics -----------------------------------------------------------------------------

/** Mean and half of Student's 95 % interval, as gp_lab.evaluation.intervals has them. */
function interval(values) {
  const x = values.filter((v) => !Number.isNaN(v)), n = x.length;
  if (!n || !x.every(Number.isFinite)) return { mean: NaN, half: Infinity, n };
  if (n === 1) return { mean: x[0], half: Infinity, n };
  if (x.every((v) => v === x[0])) return { mean: x[0], half: 0, n };
  const mean = x.reduce((a, b) => a + b) / n;
  const squares = x.reduce((a, b) => a + (b - mean) ** 2, 0);
  return { mean, half: DATA.t[Math.min(n - 1, DATA.t.length) - 1] * Math.sqrt(squares / (n - 1) / n), n };
}

const counted = (group) => group.runs.filter((i) => RUNS[i].state !== "diverged");
const last = (i, m) => numeric(RUNS[i].last[m]);
const scoreOf = (group, m) => interval(counted(group).filter((i) => m in RUNS[i].last).map((i) => last(i, m)));

/** By how much a group's value is above the baseline's, seed by seed. */
function difference(group, base, m) {
  const seeds = new Map(counted(base).filter((i) => m in RUNS[i].last).map((i) => [RUNS[i].seed, last(i, m)]));
  return interval(counted(group).filter((i) => m in RUNS[i].last && seeds.has(RUNS[i].seed)).map((i) => last(i, m) - seeds.get(RUNS[i].seed)));
}

const short = (x) => Number.isNaN(x) ? "nan" : String(+x.toPrecision(4));

/** A mean to the second digit of its interval's half-width, and that; alone without one. */
function shown({ mean, half }) {
  if (!Number.isFinite(half)) return short(mean);
  const digits = 1 - Math.floor(Math.log10(half));
  if (half === 0 || digits < 0 || digits > 5) return `${short(mean)} ± ${+half.toPrecision(2)}`;
  return `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
}

/** Whether probes of different settings have measured a metric of these groups. */
const mixed = (groups, m) => new Set(groups.flatMap((g) => g.settings[m] ?? [])).size > 1;

// -- the table of groups --------------------------------------------------------------------

let view = { groups: [], keys: [], labels: [], metrics: [], drawn: [], passing: new Set() };

const metricsOf = (groups) => DATA.metrics.map((_, m) => m).filter((m) => groups.some((g) => g.runs.some((i) => m in RUNS[i].last)));
const labelOf = (group) => view.labels.filter((k) => group.keys.has(k)).map((k) => `${k}=${group.keys.get(k)[1]}`).join(" ") || "all alike";
const states = (group) => {
  const counts = new Map();
  for (const i of group.runs) counts.set(RUNS[i].state, (counts.get(RUNS[i].state) ?? 0) + 1);
  return counts.size === 1 ? [...counts.keys()][0] : [...counts].map(([state, n]) => `${n} ${state}`).join(", ");
};
const range = (xs) => { const [a, b] = [Math.min(...xs), Math.max(...xs)]; return !xs.length ? "-" : a === b ? `${a}` : `${a}-${b}`; };

/** What a column is sorted by: numbers by size, then texts, then nothing. */
function inOrder(groups) {
  const [, down, kind, name] = /^(-?)([km]):(.*)$/.exec(chosen.s) ?? [];
  if (!kind) return groups;
  const value = (g) => {
    const x = kind === "m" ? scoreOf(g, METRIC.get(name)).mean : numeric(g.keys.get(name)?.[2]);
    return Number.isNaN(x) ? (kind === "k" && g.keys.has(name) ? [1, g.keys.get(name)[1]] : [2, ""]) : [0, x];
  };
  const sign = down ? -1 : 1;
  return groups.map((g) => [value(g), g]).sort(([[a, x]], [[b, y]]) => a - b || sign * (x < y ? -1 : x > y ? 1 : 0)).map(([, g]) => g);
}

function heading(text, kind) {
  const key = `${kind}:${text}`, up = chosen.s === key, down = chosen.s === `-${key}`;
  const sort = () => set({ s: up ? `-${key}` : down ? "" : key });
  const th = h("th", {}, h("button", { onclick: sort, title: "sort" }, text + (up ? " ▲" : down ? " ▼" : "")));
  th.ariaSort = up ? "ascending" : down ? "descending" : "none";
  return th;
}

/** Of each metric the best mean among the groups; none where nobody can say which way is better. */
function bestOf(groups, m) {
  const means = groups.map((g) => DATA.better[m] * scoreOf(g, m).mean).filter((x) => !Number.isNaN(x));
  return DATA.better[m] && means.length > 1 && !mixed(groups, m) ? Math.max(...means) : NaN;
}

function cell(group, m, best, base) {
  const score = scoreOf(group, m), td = h("td", { className: "number" });
  if (!score.n) return td.append("-"), td;
  td.append(shown(score), score.n < counted(group).length ? ` (n=${score.n})` : "");
  td.classList.toggle("best", DATA.better[m] * score.mean === best);
  if (base && base.id !== group.id) {
    const d = difference(group, base, m), sure = Math.abs(d.mean) > d.half;
    const way = !sure || !DATA.better[m] ? "" : DATA.better[m] * d.mean > 0 ? " up" : " down";
    if (d.n) td.append(h("span", { className: `delta${way}`, title: "difference from the baseline by seed" }, `Δ ${d.mean > 0 ? "+" : ""}${shown(d)}, n=${d.n}`));
  }
  return td;
}

function drawGroups() {
  const { groups, keys, metrics, drawn } = view;
  const best = metrics.map((m) => bestOf(groups, m)), base = groups.find((g) => g.id === chosen.b);
  const head = h("tr", {}, h("th", {}, "draw"), h("th", { title: "differences from it are shown" }, "base"), keys.map((k) => heading(k, "k")), ["seeds", "step", "state"].map((t) => h("th", {}, t)),
    metrics.map((m) => heading(DATA.metrics[m], "m")));
  const rows = (all ? groups : groups.slice(0, ROWS)).flatMap((g) => {
    const colour = drawn.findIndex((d) => d.id === g.id);
    const tick = h("input", { type: "checkbox", checked: colour >= 0, ariaLabel: `draw ${labelOf(g)}`, onchange: () => toggle(g.id) });
    const swatch = h("span", { className: "swatch" });
    swatch.style.background = colour >= 0 ? COLOURS[colour % COLOURS.length] : "transparent";
    const open = h("button", { onclick: () => { const r = row.nextSibling; if (r?.classList.contains("seeds")) r.remove(); else row.after(seedsOf(g)); } }, `${g.runs.length}`);
    open.title = "its runs";
    const radio = h("input", { type: "radio", name: "base", checked: g.id === chosen.b, ariaLabel: `baseline ${labelOf(g)}`, onclick: () => set({ b: g.id === chosen.b ? "" : g.id }) });
    const row = h("tr", { className: g.id === chosen.b ? "base" : "" }, h("td", {}, tick, swatch), h("td", {}, radio),
      keys.map((k) => { const text = g.keys.get(k)?.[1] ?? "-"; return h("td", { className: "value", title: text }, text); }),
      h("td", {}, open), h("td", { className: "number" }, range(counted(g).map((i) => RUNS[i].step))), h("td", { className: "number" }, states(g)),
      metrics.map((m, i) => cell(g, m, best[i], base)));
    return row;
  });
  const more = groups.length > ROWS && !all ? h("tr", {}, h("td", { colSpan: 9 }, h("button", { onclick: () => { all = true; draw(); } }, `show all ${groups.length}`))) : null;
  $("groups").replaceChildren(h("table", {}, h("thead", {}, head), h("tbody", {}, rows, more)));
}

function seedsOf(group) {
  const items = group.runs.map((i) => h("li", {}, h("a", { href: `#run-${encodeURIComponent(RUNS[i].name)}` }, `seed ${RUNS[i].seed}`),
    ` ${RUNS[i].state} at ${RUNS[i].step}`, view.metrics.filter((m) => m in RUNS[i].last).map((m) => `, ${DATA.metrics[m]} ${short(last(i, m))}`)));
  return h("tr", { className: "seeds" }, h("td", { colSpan: view.keys.length + view.metrics.length + 5 }, h("ul", {}, items)));
}

function toggle(id) {
  const now = view.drawn.map((g) => g.id);
  set({ g: now.includes(id) ? now.filter((x) => x !== id) : [...now, id] });
}

// -- curves ---------------------------------------------------------------------------------

/** A curve [steps, ...rows] as it is drawn: in minutes if asked, smoothed, what a log axis lacks left out. */
function prepared([steps, ...rows], rate) {
  const x = Array.from(steps, (s) => chosen.x === "time" ? s / rate / 60 : s), w = chosen.smooth;
  const smooth = (row) => {
    let average = 0, weight = 0;
    return Array.from(row, (v) => {
      if (!w || Number.isNaN(v)) return v;
      [average, weight] = [w * average + (1 - w) * v, w * weight + (1 - w)];
      return average / weight;
    });
  };
  const fits = (v) => Number.isFinite(v) && (!chosen.ly || v > 0) ? v : null;
  const kept = x.map((v, i) => i).filter((i) => Number.isFinite(x[i]) && (!chosen.lx || x[i] > 0));
  return [kept.map((i) => x[i]), ...rows.map(smooth).map((row) => kept.map((i) => fits(row[i])))];
}

const median = (xs) => xs.sort((a, b) => a - b)[xs.length >> 1];
const rateOf = (runs) => median(runs.map((i) => RUNS[i].rate).filter(Boolean)) ?? NaN;
const bandOf = (g, m) => [unpacked(DATA.steps[g.bands[m][0]]), ...g.bands[m].slice(1).map(unpacked)];
const curveOf = (i, m) => { const c = RUNS[i].curves[m]; return [unpacked(DATA.steps[c[0]]), unpacked(c[1])]; };

/** One metric's curves: series are {label, colour, curve, rate}, with a band where the curve has one. */
function chart(box, title, series) {
  const tables = series.map((s) => prepared(s.curve, s.rate)).map((t) => t[0].length ? t : [[0], ...t.slice(1).map(() => [null])]);
  const css = getComputedStyle(document.documentElement), ink = css.getPropertyValue("--soft"), line = css.getPropertyValue("--line");
  const lines = [{}], bands = [];
  series.forEach((s, n) => {
    lines.push({ label: s.label, stroke: s.colour, width: s.thin ? 0.7 : 2, spanGaps: true, points: { show: tables[n][0].length < 2 }, class: s.thin ? "quiet" : null });
    if (tables[n].length < 4) return;
    const at = lines.length;
    for (const end of ["low", "high"]) lines.push({ label: end, stroke: "transparent", width: 0, spanGaps: true, points: { show: false }, class: "quiet" });
    bands.push({ series: [at + 1, at], fill: `${s.colour}33` });
  });
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const node = h("div", { className: "chart" }, h("h4", {}, title));
  box.append(node);
  const plot = new uPlot({
    width: node.clientWidth, height: 260, series: lines, bands,
    scales: { x: { time: false, distr: chosen.lx ? 3 : 1 }, y: { distr: chosen.ly ? 3 : 1 } },
    axes: [{ ...axis, label: chosen.x === "time" ? "minutes at the run's mean rate" : "step", labelSize: 20, size: 34 }, { ...axis, size: 62 }],
    legend: { live: true }, cursor: { y: false },
  }, uPlot.join(tables), node);
  charts.push([plot, node]);
}

const legend = (groups) => h("div", { className: "legend" }, groups.map((g, n) => {
  const swatch = h("span", { className: "swatch" });
  swatch.style.background = COLOURS[n % COLOURS.length];
  return h("span", {}, swatch, h("b", {}, `${n + 1} `), labelOf(g));
}));

function drawCurves() {
  charts.forEach(([plot]) => plot.destroy());
  charts = [];
  const { drawn, metrics } = view, box = $("charts");
  box.replaceChildren(legend(drawn));
  for (const m of metrics) {
    const series = drawn.flatMap((g, n) => {
      const colour = COLOURS[n % COLOURS.length], own = g.runs.filter((i) => m in RUNS[i].curves);
      const mean = g.whole && m in g.bands ? [{ label: `${n + 1}`, colour, curve: bandOf(g, m), rate: rateOf(g.runs) }] : [];
      const each = chosen.each || !mean.length ? own.map((i) => ({ label: RUNS[i].seed, colour, thin: mean.length > 0, curve: curveOf(i, m), rate: RUNS[i].rate ?? NaN })) : [];
      return [...mean, ...each];
    });
    if (series.length) chart(box, DATA.metrics[m], series);
  }
  if (!charts.length) box.append(h("p", { className: "small" }, "No curves of these groups and metrics."));
}

function curveBar() {
  const box = (key, text) => h("label", {}, h("input", { type: "checkbox", checked: chosen[key], onchange: (e) => set({ [key]: e.target.checked }) }), text);
  const slider = h("input", { type: "range", id: "smooth", min: 0, max: 0.98, step: 0.02, value: chosen.smooth, oninput: (e) => set({ smooth: +e.target.value }) });
  $("curve-bar").replaceChildren(select(chosen.x, [["step", "steps"], ["time", "minutes"]], (x) => set({ x }), "over"),
    box("lx", "log x"), box("ly", "log y"), box("each", "each seed"), h("label", {}, "smoothing", slider));
}

// -- pictures -------------------------------------------------------------------------------

/** Pictures side by side, each at the last of its steps up to the one chosen. */
function gallery(bar, box, items, kinds) {
  const kind = kinds.includes(chosen.kind) ? chosen.kind : kinds[0];
  const found = items.map(({ label, run }) => ({ label, frames: DATA.pictures[run]?.[kind] })).filter((x) => x.frames);
  const steps = [...new Set(found.flatMap((x) => x.frames.map(([step]) => step)))].sort((a, b) => a - b);
  if (!steps.length) return bar.replaceChildren(), box.replaceChildren(h("p", { className: "small" }, "No pictures of these runs are on the page."));
  const figures = found.map(({ label, frames }) => {
    const img = h("img", { alt: `${kind} of ${label}` }), caption = h("figcaption", {});
    const show = (step) => {
      const [at, place] = frames.findLast(([s]) => s <= step) ?? frames[0];
      img.src = `data:image/webp;base64,${DATA.images[place]}`;
      caption.textContent = `${label}: step ${at}`;
    };
    return { node: h("figure", {}, img, caption), show };
  });
  const said = h("output", {}), nearest = steps.findLastIndex((s) => s <= (chosen.step === "" ? Infinity : +chosen.step));
  const slider = h("input", { type: "range", className: "steps", ariaLabel: "step", min: 0, max: steps.length - 1, step: 1, value: Math.max(nearest, 0) });
  const show = () => { const step = steps[slider.value]; said.textContent = `step ${step}`; figures.forEach((f) => f.show(step)); };
  slider.oninput = () => { chosen.step = String(steps[slider.value]); show(); remember(); };
  bar.replaceChildren(select(kind, kinds.map((k) => [k, k]), (k) => set({ kind: k }), "of"), h("label", { className: "slider" }, slider, said));
  box.replaceChildren(...figures.map((f) => f.node));
  show();
}

function drawPictures() {
  const kindsOf = (runs) => runs.flatMap((i) => Object.keys(DATA.pictures[i] ?? {}));
  const kinds = [...new Set(kindsOf(view.drawn.flatMap((g) => g.runs)))].sort();
  const kind = kinds.includes(chosen.kind) ? chosen.kind : kinds[0];
  const items = view.drawn.flatMap((g) => {
    const run = g.runs.find((i) => DATA.pictures[i]?.[kind]);
    return run === undefined ? [] : [{ run, label: `${labelOf(g)}, seed ${RUNS[run].seed}` }];
  });
  gallery($("picture-bar"), $("pictures"), items, kinds);
}

// -- heat map -------------------------------------------------------------------------------

const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function colourOf(share) {
  const at = Math.min(share * 4, 3.999), [a, b] = [VIRIDIS[Math.floor(at)], VIRIDIS[Math.floor(at) + 1]];
  const rgb = a.map((v, i) => Math.round(v + (b[i] - v) * (at % 1)));
  return { background: `rgb(${rgb})`, color: rgb[1] > 130 ? "#000" : "#fff" };
}

function drawHeat() {
  const { groups, keys, metrics } = view, bar = $("heat-bar"), box = $("heat");
  if (keys.length < 2 || !metrics.length) return bar.replaceChildren(), box.replaceChildren(h("p", { className: "small" }, "Needs two settings that differ between the groups, and a metric."));
  const x = keys.includes(chosen.hx) ? chosen.hx : keys[0], y = keys.includes(chosen.hy) && chosen.hy !== x ? chosen.hy : keys.find((k) => k !== x);
  const m = METRIC.has(chosen.hm) && metrics.includes(METRIC.get(chosen.hm)) ? METRIC.get(chosen.hm) : metrics[0];
  const pick = (name, value) => select(value, keys.map((k) => [k, k]), (v) => set({ [name]: v }), name === "hx" ? "across" : "down");
  bar.replaceChildren(pick("hx", x), pick("hy", y), select(DATA.metrics[m], metrics.map((k) => [DATA.metrics[k], DATA.metrics[k]]), (v) => set({ hm: v }), "mean of"));
  const sorted = (key) => [...new Map(groups.map((g) => [g.keys.get(key)?.[1] ?? "-", numeric(g.keys.get(key)?.[2])]))]
    .sort(([a, n], [b, k]) => (Number.isNaN(n) - Number.isNaN(k)) || n - k || (a < b ? -1 : 1)).map(([text]) => text);
  const [xs, ys] = [sorted(x), sorted(y)];
  const cells = ys.map((b) => xs.map((a) => {
    const here = groups.filter((g) => (g.keys.get(x)?.[1] ?? "-") === a && (g.keys.get(y)?.[1] ?? "-") === b);
    return { n: here.length, ...interval(here.flatMap((g) => counted(g).filter((i) => m in RUNS[i].last).map((i) => last(i, m)))) , groups: here.length };
  }));
  const means = cells.flat().map((c) => c.mean).filter(Number.isFinite), [low, high] = [Math.min(...means), Math.max(...means)];
  const rows = cells.map((row, j) => h("tr", {}, h("th", {}, ys[j]), row.map((c) => {
    const td = h("td", { className: "cell", title: c.groups > 1 ? `${c.groups} groups, ${c.n} runs` : `${c.n} runs` });
    if (!Number.isFinite(c.mean)) return td.append("-"), td;
    Object.assign(td.style, colourOf(high > low ? (c.mean - low) / (high - low) : 0.5));
    return td.append(short(c.mean), c.groups > 1 ? ` (${c.groups} groups)` : ""), td;
  })));
  box.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, `${y} \\ ${x}`), xs.map((a) => h("th", {}, a)))), h("tbody", {}, rows)));
}

// -- runs -----------------------------------------------------------------------------------

function drawRuns() {
  const found = RUNS.map((_, i) => i).filter((i) => view.passing.has(i));
  const updated = (i) => RUNS[i].status.updated ?? "";
  found.sort((a, b) => updated(a) < updated(b) ? 1 : updated(a) > updated(b) ? -1 : a - b);
  const head = ["run", "seed", "state", "step", "it/s", "MB", "updated", "why"];
  const rows = (all ? found : found.slice(0, ROWS)).map((i) => {
    const r = RUNS[i];
    return h("tr", {}, h("td", {}, h("a", { href: `#run-${encodeURIComponent(r.name)}` }, r.name)), [r.seed, r.state, `${r.step} / ${r.steps}`,
      r.rate ? short(r.rate) : "", r.mb.toFixed(1), updated(i), r.why].map((t) => h("td", { className: t === r.why ? "" : "number" }, t)));
  });
  $("runs-said").replaceChildren(found.length > rows.length ? h("button", { onclick: () => { all = true; draw(); } }, `show all ${found.length}`) : "");
  $("run-table").replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, head.map((t) => h("th", {}, t)))), h("tbody", {}, rows)));
}

function openRun(name) {
  const i = RUNS.findIndex((r) => r.name === name), r = RUNS[i];
  if (!r) return $("run").replaceChildren(...(name ? [h("p", {}, `No run ${name} is on this page.`)] : []));
  const list = (pairs) => h("dl", { className: "facts" }, pairs.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
  const own = GROUP_OF.get(i)?.keys ?? new Map(), tells = (pair) => own.has(pair[0]) || pair[0] === "seed";
  const config = (first) => r.config.map((p) => DATA.pairs[p]).filter((pair) => tells(pair) === first);
  const box = h("div", { className: "charts" }), bar = h("div", { className: "bar" }), shots = h("div", { className: "gallery" });
  const facts = [["state", r.state], ["why", r.why], ["step", `${r.step} of ${r.steps}`], ["speed", r.rate ? `${short(r.rate)} iterations a second` : ""],
    ["size", `${r.mb} MB`], ["folder", r.path], ["figures", r.figures.join(", ")], ...Object.entries(r.status)].filter(([, v]) => v);
  $("run").replaceChildren(h("h3", {}, r.name), list(facts), h("h4", {}, "Its config: what tells it from other runs"), list(config(true)),
    h("details", {}, h("summary", {}, "All other settings"), list(config(false))), h("h4", {}, "Curves"), box, h("h4", {}, "Pictures"), bar, shots);
  for (const m of Object.keys(r.curves).slice(0, 12)) chart(box, DATA.metrics[m], [{ label: `seed ${r.seed}`, colour: COLOURS[0], curve: curveOf(i, m), rate: r.rate ?? NaN }]);
  gallery(bar, shots, [{ label: `seed ${r.seed}`, run: i }], Object.keys(DATA.pictures[i] ?? {}));
}

// -- drawing all, and the address -----------------------------------------------------------

function draw() {
  const place = document.body.dataset.view, { runs, unknown } = filtered(), groups = groupsOf(runs), keys = telling(groups), known = metricsOf(groups);
  const asked = chosen.m.map((name) => METRIC.get(name)).filter((m) => m !== undefined);
  view = { groups: inOrder(groups), keys, labels: keys, metrics: asked.length ? asked : known.slice(0, WIDE), drawn: [], passing: runs };
  view.drawn = chosen.g.length ? chosen.g.map((id) => view.groups.find((g) => g.id === id)).filter(Boolean) : view.groups.slice(0, FIRST);
  view.labels = view.drawn.length > 1 ? telling(view.drawn) : keys;
  const apart = view.metrics.filter((m) => mixed(groups, m)).map((m) => DATA.metrics[m]);
  $("said").replaceChildren(`${runs.size} of ${RUNS.length} runs in ${groups.length} groups. `,
    unknown.length ? h("span", { className: "wrong" }, `No run has ${unknown.join(", ")}. `) : "",
    apart.length ? h("b", {}, `Measured with different settings: ${apart.join(", ")}. `) : "",
    chosen.g.length || place !== "compare" ? "" : `The first ${view.drawn.length} are drawn; tick others to choose. `);
  $("metrics").replaceChildren(...known.map((m) => h("label", {}, h("input", { type: "checkbox", checked: view.metrics.includes(m),
    onchange: () => set({ m: known.filter((k) => view.metrics.includes(k) !== (k === m)).map((k) => DATA.metrics[k]) }) }), DATA.metrics[m])));
  if ($("filter").value !== chosen.f) $("filter").value = chosen.f;
  $("scope").value = chosen.f.split(/\s+/).find((w) => w.startsWith("figure=")) ?? "";
  charts.forEach(([plot]) => plot.destroy());
  charts = [];
  if (place === "compare") { drawGroups(); if (document.activeElement?.id !== "smooth") curveBar(); drawCurves(); drawPictures(); drawHeat(); }
  if (place === "runs") { drawRuns(); openRun(decodeURIComponent(/^#run-([^?]*)/.exec(location.hash)?.[1] ?? "")); }
}

function set(changes) {
  Object.assign(chosen, changes);
  remember();
  draw();
}

const START = { ...chosen };

function remember() {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(chosen)) {
    if (String(value) !== String(START[key])) words.set(key, Array.isArray(value) ? value.join(",") : String(value));
  }
  const base = location.hash.replace(/\?.*/, "") || "#compare";
  history.replaceState(null, "", `${base}${words.size ? `?${words}` : ""}`);
}

function read() {
  const [place, words] = location.hash.split("?");
  if (words !== undefined || !location.hash) {
    const given = new URLSearchParams(words ?? "");
    for (const key of Object.keys(chosen)) {
      const text = given.get(key), start = START[key];
      chosen[key] = text === null ? start : Array.isArray(start) ? text.split(",").filter(Boolean)
        : typeof start === "boolean" ? text === "true" : typeof start === "number" ? +text || 0 : text;
    }
  }
  const entry = place.startsWith("#entry-") || place === "#budgets" ? $(place.slice(1)) : null;
  document.body.dataset.view = entry || place === "#edition" ? "edition" : place.startsWith("#run") ? "runs"
    : place === "#compare" || DATA.groups.length || !document.querySelector(".entry") ? "compare" : "edition";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${document.body.dataset.view}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  draw();
  if (entry) { (entry.closest(".entry") ?? entry).open = true; entry.scrollIntoView(); } else scrollTo(0, 0);
}

function scopes() {
  const figures = [...new Set(RUNS.flatMap((r) => r.figures))].sort(), own = RUNS.some((r) => !r.figures.length);
  const options = [["", "all"], ...(own && figures.length ? [["figure=none", "no figure"]] : []), ...figures.map((f) => [`figure=${f}`, f])];
  $("scope").append(...options.map(([v, text]) => h("option", { value: v }, text)));
  chosen.f = START.f = options.length > 2 ? options[1][0] : "";
  $("scope").onchange = (e) => set({ f: [e.target.value, ...chosen.f.split(/\s+/).filter((w) => w && !w.startsWith("figure="))].filter(Boolean).join(" "), g: [], b: "" });
}

const typing = (e) => /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) && e.target.type !== "checkbox";

function pressed(e) {
  if (e.target.id === "filter" && e.key === "Escape") set({ f: "" });
  if (e.ctrlKey || e.metaKey || e.altKey || typing(e)) return;
  const views = { 1: "#compare", 2: "#edition", 3: "#runs" }, slider = document.querySelector(`#${document.body.dataset.view} .steps`);
  if (e.key === "/") { if (document.body.dataset.view === "edition") location.hash = "#compare"; $("filter").focus(); e.preventDefault(); }
  if (views[e.key]) location.hash = views[e.key];
  if (slider && /^Arrow(Left|Right)$/.test(e.key)) { slider.value = +slider.value + (e.key === "ArrowRight" ? 1 : -1); slider.oninput(); }
  if ((e.key === "n" || e.key === "p") && document.body.dataset.view === "edition") {
    const entries = [...document.querySelectorAll(".entry")], at = entries.findIndex((x) => `#${x.id}` === location.hash);
    const next = entries[e.key === "n" ? at + 1 : at - 1];
    if (next) location.hash = `#${next.id}`;
  }
}

let waiting, timer;
$("filter").oninput = (e) => { clearTimeout(waiting); waiting = setTimeout(() => set({ f: e.target.value }), 150); };
for (const link of document.querySelectorAll(".runs-of")) link.onclick = () => Object.assign(chosen, { ...START, f: `figure=${link.dataset.figure}` });
addEventListener("hashchange", read);
addEventListener("keydown", pressed);
addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(() => charts.forEach(([plot, node]) => plot.setSize({ width: node.clientWidth, height: 260 })), 100); });
addEventListener("beforeprint", () => document.querySelectorAll("#edition .entry").forEach((x) => { x.open = true; }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
scopes();
read();
})();
