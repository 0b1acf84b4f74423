// A heat map of two settings.

const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

function colourOf(share) {
  const at = Math.min(share * 4, 3.999), [a, b] = [VIRIDIS[Math.floor(at)], VIRIDIS[Math.floor(at) + 1]];
  const rgb = a.map((v, i) => Math.round(v + (b[i] - v) * (at % 1)));
  return { background: `rgb(${rgb})`, color: rgb[1] > 130 ? "#000" : "#fff" };
}

/** The metric of heat map and coordinates, and what chooses it. */
function scored(metrics) {
  const asked = METRIC.get(chosen.hm), m = metrics.includes(asked) ? asked : metrics[0];
  return { m, pick: (label, at) => select(DATA.metrics[m], metrics.map((k) => [DATA.metrics[k], DATA.metrics[k]]), (v) => set({ hm: v }), label, at) };
}

function drawHeat() {
  const { groups, keys, metrics } = view, bar = $("heat-bar"), box = $("heat");
  if (keys.length < 2 || !metrics.length) return bar.replaceChildren(), box.replaceChildren(small("Needs two settings that differ between the groups, and a metric."));
  const x = keys.includes(chosen.hx) ? chosen.hx : keys[0], y = keys.includes(chosen.hy) && chosen.hy !== x ? chosen.hy : keys.find((k) => k !== x);
  const { m, pick } = scored(metrics), key = (name, value, label) => select(value, keys.map((k) => [k, k]), (v) => set({ [name]: v }), label);
  bar.replaceChildren(key("hx", x, "across"), key("hy", y, "down"), pick("mean of", "heat-score"));
  const [xs, ys] = [x, y].map((k) => valuesInOrder(groups, k).map(([text]) => text));
  const cells = ys.map((b) => xs.map((a) => {
    const here = groups.filter((g) => valueOf(g, x) === a && valueOf(g, y) === b);
    return { ...interval(here.flatMap((g) => measured(g, m).map((i) => last(i, m)))), groups: here.length };
  }));
  const means = cells.flat().map((c) => c.mean).filter(Number.isFinite), [low, high] = [Math.min(...means), Math.max(...means)];
  const rows = cells.map((row, j) => h("tr", {}, h("th", { scope: "row" }, ys[j]), row.map((c) => {
    const td = h("td", { className: "cell", title: c.groups > 1 ? `${c.groups} groups, ${c.n} runs` : `${c.n} runs` });
    if (!Number.isFinite(c.mean)) return td.append("-"), td;
    Object.assign(td.style, colourOf(high > low ? (c.mean - low) / (high - low) : 0.5));
    return td.append(short(c.mean), c.groups > 1 ? ` (${c.groups} groups)` : ""), td;
  })));
  box.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, `${y} \\ ${x}`), xs.map((a) => h("th", { scope: "col" }, a)))), h("tbody", {}, rows)));
}
