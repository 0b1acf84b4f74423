// The table of runs, and one run opened.

const COLUMNS = {
  run: (r) => r.name, seed: (r) => r.seed === "" || Number.isNaN(+r.seed) ? r.seed : +r.seed, state: (r) => r.state, step: (r) => +r.step,
  "it/s": (r) => r.rate ?? NaN, MB: (r) => r.mb, updated: (r) => r.status.updated ?? "", why: (r) => r.why,
};

function drawRuns() {
  const [, down, name] = /^(-?)c:(.*)$/.exec(chosen.r) ?? [null, "-", "updated"];
  const found = sorted([...view.passing], (i) => (COLUMNS[name] ?? COLUMNS.updated)(RUNS[i]), down);
  const rows = (all ? found : found.slice(0, ROWS)).map((i) => {
    const r = RUNS[i], numbers = [r.seed, r.state, `${r.step} / ${r.steps}`, r.rate ? short(r.rate) : "", r.mb.toFixed(1), r.status.updated ?? ""];
    return h("tr", {}, h("td", {}, h("a", { href: addressOf(i) }, r.name)), numbers.map((t) => h("td", { className: "number" }, t)), h("td", {}, r.why));
  });
  const head = Object.keys(COLUMNS).map((t) => heading(t, "r", `c:${t}`));
  $("run-table").replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)), showAll(found.length));
}

/** Its speed from point to point of its clock. */
function speedOf(i) {
  const [at, seconds] = clockOf(i);
  const pace = (k) => (at[k] - at[k - 1]) / (seconds[k] - seconds[k - 1]);
  return [axisOf(at.slice(1), [i]), Array.from(at.slice(1), (_, k) => pace(k + 1))];
}

function openRun(path) {
  const i = RUNS.findIndex((r) => r.path === path), r = RUNS[i], box = $("run");
  if (!r) return box.replaceChildren(...(path ? [h("p", {}, `No run ${path} is on this page.`)] : []));
  const list = (pairs) => h("dl", { className: "facts" }, pairs.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
  const own = GROUP_OF.get(i)?.keys ?? new Map(), tells = ([key]) => own.has(key) || key === "seed";
  const config = r.config.map((p) => DATA.pairs[p]);
  const facts = [["state", r.state], ["why", r.why], ["step", `${r.step} of ${r.steps}`], ["speed", r.rate ? `${short(r.rate)} iterations a second` : ""],
    ["size", `${r.mb} MB`], ["folder", r.path], ["figures", r.figures.join(", ")], ...Object.entries(r.status)].filter(([, v]) => v);
  const graphs = h("div", { className: "charts" }), bar = h("div", { className: "bar" }), shots = h("div", { className: "gallery" });
  const rest = h("details", { id: "settings" }, h("summary", {}, "All other settings"), list(config.filter((pair) => !tells(pair))));
  rest.open = $("settings")?.open ?? false;
  box.replaceChildren(h("p", {}, h("a", { href: "#runs" }, "Close")), h("h3", {}, r.name), list(facts), h("h4", {}, "Its config: what tells it from other runs"),
    list(config.filter(tells)), rest, h("h4", {}, "Curves"), ...clocksSaid([i]), graphs, h("h4", {}, "Pictures"), bar, shots);
  const curves = Object.keys(r.curves).slice(0, 12).map((m) => ({ title: DATA.metrics[m], series: [{ label: `seed ${r.seed}`, colour: COLOURS[0], curve: curveOf(i, m) }] }));
  const speed = r.clock.length ? [{ title: "iterations a second", series: [{ label: "speed", colour: COLOURS[1], curve: speedOf(i) }] }] : [];
  drawCharts(graphs, [...curves, ...speed]);
  gallery(bar, shots, [{ label: `seed ${r.seed}`, run: i }], Object.keys(DATA.pictures[i] ?? {}));
}
