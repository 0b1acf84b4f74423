// Curves over steps or minutes, with bands over seeds.

const HIGH = 260;  // pixels of a chart
let charts = [];

/** How fast a run went: steps and seconds that it took to them, from its timing.jsonl; or none. */
const clockOf = (i) => RUNS[i].clock.map(unpacked);

/** The minutes that a run took to each of some ascending steps; at its mean rate without a clock. */
function minutesOf(i, steps) {
  const [at, seconds] = clockOf(i);
  if (!at) return Array.from(steps, (s) => s / (RUNS[i].rate || NaN) / 60);
  let k = 1;
  return Array.from(steps, (s) => {
    while (k < at.length - 1 && at[k] < s) k += 1;
    const pace = (seconds[k] - seconds[k - 1]) / (at[k] - at[k - 1]);
    return (seconds[k] + (s - at[k]) * (s > at[k] ? seconds[k] / at[k] : pace)) / 60;
  });
}

/** Of runs together: from step to step the mean of what each took. */
function meanMinutes(runs, steps) {
  const each = runs.map((i) => minutesOf(i, steps)).filter((row) => !Number.isNaN(row[0]));
  return Array.from(steps, (_, k) => each.length ? each.reduce((sum, row) => sum + row[k], 0) / each.length : NaN);
}

/** A curve [x, ...rows] as it is drawn: smoothed, and without what a log axis cannot have. */
function prepared([x, ...rows]) {
  const w = chosen.smooth;
  const smooth = (row) => {
    let average = 0, weight = 0;
    return Array.from(row, (v) => {
      if (!w || Number.isNaN(v)) return v;
      [average, weight] = [w * average + (1 - w) * v, w * weight + (1 - w)];
      return average / weight;
    });
  };
  const fits = (v) => Number.isFinite(v) && (!chosen.ly || v > 0) ? v : null;
  const kept = Array.from(x, (_, i) => i).filter((i) => Number.isFinite(x[i]) && (!chosen.lx || x[i] > 0));
  return kept.length ? [kept.map((i) => x[i]), ...rows.map(smooth).map((row) => kept.map((i) => fits(row[i])))] : [[0], ...rows.map(() => [null])];
}

const axisOf = (steps, runs) => chosen.x === "time" ? meanMinutes(runs, steps) : steps;

function bandOf(g, m) {
  const [steps, ...rows] = g.bands[m].map(unpacked);
  return [axisOf(steps, counted(g)), ...rows];
}

function curveOf(i, m) {
  const [steps, values] = RUNS[i].curves[m].map(unpacked);
  return [axisOf(steps, [i]), values];
}

/** Charts of {title, series}; a series is {label, colour, curve}, with a band where the curve has one. */
function drawCharts(box, wanted) {
  const nodes = wanted.map(({ title }) => h("div", { className: "chart" }, h("h4", {}, title)));
  box.append(...nodes);  // all of them first: each is as wide as their number allows
  wanted.forEach(({ title, series }, n) => charts.push([plotted(nodes[n], title, series), nodes[n]]));
}

function plotted(node, title, series) {
  const tables = series.map((s) => prepared(s.curve)), css = getComputedStyle(document.documentElement);
  const [ink, line] = ["--soft", "--line"].map((name) => css.getPropertyValue(name));
  const unit = chosen.x === "time" ? "minutes" : "step", lines = [{ label: unit }], bands = [];
  series.forEach((s, n) => {
    lines.push({ label: s.label, stroke: s.colour, width: s.thin ? 0.7 : 2, spanGaps: true, points: { show: tables[n][0].length < 2 }, class: s.thin ? "quiet" : null });
    if (tables[n].length < 4) return;
    const at = lines.length;
    for (const end of ["low", "high"]) lines.push({ label: end, stroke: "transparent", width: 0, spanGaps: true, points: { show: false }, class: "quiet" });
    bands.push({ series: [at + 1, at], fill: `${s.colour}33` });
  });
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const plot = new uPlot({
    width: node.clientWidth, height: HIGH, series: lines, bands,
    scales: { x: { time: false, distr: chosen.lx ? 3 : 1 }, y: { distr: chosen.ly ? 3 : 1 } },
    axes: [{ ...axis, label: unit, labelSize: 20, size: 34 }, { ...axis, size: 62 }],
    legend: { live: true }, cursor: { y: false },
  }, uPlot.join(tables), node);
  const canvas = plot.ctx.canvas;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `curves of ${title}`);
  return plot;
}

function clearCharts() {
  charts.forEach(([plot]) => plot.destroy());
  charts = [];
}

const legend = (groups) => h("div", { className: "legend" }, groups.map((g, n) =>
  h("span", {}, swatch(colourOfGroup(n)), h("b", {}, `${n + 1} `), labelOf(g))));

/** Of a metric what is drawn of the groups: means with bands of whole ones, single curves of others. */
function seriesOf(groups, m) {
  return groups.flatMap((g, n) => {
    const colour = colourOfGroup(n), own = g.runs.filter((i) => m in RUNS[i].curves);
    const mean = g.whole && m in g.bands ? [{ label: `${n + 1}`, colour, curve: bandOf(g, m) }] : [];
    const each = chosen.each || !mean.length ? own.map((i) => ({ label: `${n + 1}, seed ${RUNS[i].seed}`, colour, thin: mean.length > 0, curve: curveOf(i, m) })) : [];
    return [...mean, ...each];
  });
}

/** Whether a metric was measured at more than one step: else there is no curve of it. */
const bends = (m) => view.drawn.some((g) => g.runs.some((i) => m in RUNS[i].curves && unpacked(RUNS[i].curves[m][1]).length > 1));

/** What minutes are where a run has no clock. */
function clocksSaid(runs) {
  if (chosen.x !== "time") return [];
  const without = runs.filter((i) => !RUNS[i].clock.length), lost = without.filter((i) => !RUNS[i].rate).length;
  const n = without.length - lost;
  return [n ? small(`Of ${n} of ${runs.length} runs there is no timing.jsonl: their minutes are steps at the mean rate.`) : "",
    lost ? small(`${lost} of ${runs.length} runs have no known speed: they are not drawn over minutes.`) : ""];
}

function drawCurves(known) {
  const { drawn } = view, asked = chosen.m.length > 0, box = $("charts");
  const curved = (asked ? view.metrics : known).filter(bends).slice(0, asked ? undefined : WIDE);
  const flat = view.metrics.filter((m) => !curved.includes(m)).map((m) => DATA.metrics[m]);
  box.replaceChildren(legend(drawn), ...clocksSaid(drawn.flatMap((g) => g.runs)));
  if (flat.length && drawn.length) box.append(small(`Measured at one step, or at none, of these runs: ${flat.join(", ")}.`));
  drawCharts(box, curved.map((m) => ({ title: DATA.metrics[m], series: seriesOf(drawn, m) })));
}

function curveBar() {
  if (document.activeElement?.id === "smooth") return;  // it is being moved
  const box = (key, text) => h("label", {}, h("input", { type: "checkbox", at: key, checked: chosen[key], onchange: (e) => set({ [key]: e.target.checked }) }), text);
  const slider = h("input", { type: "range", id: "smooth", min: 0, max: 0.98, step: 0.02, value: chosen.smooth, oninput: (e) => set({ smooth: +e.target.value }) });
  $("curve-bar").replaceChildren(select(chosen.x, [["step", "steps"], ["time", "minutes"]], (x) => set({ x }), "over"),
    box("lx", "log x"), box("ly", "log y"), box("each", "each seed"), h("label", {}, "smoothing", slider));
}
