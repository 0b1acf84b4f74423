// The table of groups.

const metricsOf = (groups) => DATA.metrics.map((_, m) => m).filter((m) => groups.some((g) => g.runs.some((i) => m in RUNS[i].last)));
const labelOf = (group) => view.labels.filter((k) => group.keys.has(k)).map((k) => `${k}=${valueOf(group, k)}`).join(" ") || "all alike";
const stepsOf = (group) => counted(group).map((i) => RUNS[i].step);
const addressOf = (i) => `#run-${encodeURIComponent(RUNS[i].path)}`;

function states(group) {
  const counts = new Map();
  for (const i of group.runs) counts.set(RUNS[i].state, (counts.get(RUNS[i].state) ?? 0) + 1);
  return counts.size === 1 ? [...counts.keys()][0] : [...counts].map(([state, n]) => `${n} ${state}`).join(", ");
}

/** The groups by the column that was chosen: `k:KEY`, `m:METRIC`, `c:seeds`, with - before it downwards. */
function inOrder(groups) {
  const [, down, kind, name] = /^(-?)([kmc]):(.*)$/.exec(chosen.s) ?? [];
  const columns = { seeds: (g) => g.runs.length, step: (g) => Math.max(...stepsOf(g)), state: states };
  const value = {
    k: (g) => { const n = numeric(g.keys.get(name)?.[2]); return Number.isNaN(n) ? g.keys.get(name)?.[1] ?? "" : n; },
    m: (g) => scoreOf(g, METRIC.get(name)).mean,
    c: columns[name],
  }[kind];
  return value ? sorted(groups, value, down) : groups;
}

/** A column's head that sorts by it: upwards, downwards, not. `name`: of what is chosen. */
function heading(text, name, key) {
  const up = chosen[name] === key, down = chosen[name] === `-${key}`;
  const sort = () => set({ [name]: up ? `-${key}` : down ? "" : key });
  const th = h("th", { scope: "col" }, h("button", { at: `${name}${key}`, onclick: sort, title: "sort" }, text + (up ? " ▲" : down ? " ▼" : "")));
  th.ariaSort = up ? "ascending" : down ? "descending" : "none";
  return th;
}

function cell(group, m, best, base) {
  const score = scoreOf(group, m), td = h("td", { className: "number" });
  if (!score.n) return td.append("-"), td;
  td.append(shown(score), score.n < counted(group).length ? ` (n=${score.n})` : "");
  if (DATA.better[m] * score.mean === best) {
    td.className = "number best";
    td.title = "the best mean";
  }
  if (base && base.id !== group.id) {
    const d = difference(group, base, m), sure = Math.abs(d.mean) > d.half;
    const way = !sure || !DATA.better[m] ? "" : DATA.better[m] * d.mean > 0 ? " up" : " down";
    if (d.n) td.append(h("span", { className: `delta${way}`, title: "difference from the baseline by seed" }, `Δ ${d.mean > 0 ? "+" : ""}${shown(d)}, n=${d.n}`));
  }
  return td;
}

const toggled = (list, id) => list.includes(id) ? list.filter((x) => x !== id) : [...list, id];

function rowsOf(group, best, base) {
  const { keys, metrics, drawn } = view, label = labelOf(group), opened = chosen.o.includes(group.id);
  const colour = drawn.findIndex((d) => d.id === group.id);
  const tick = h("input", { type: "checkbox", checked: colour >= 0, ariaLabel: `draw ${label}`, at: `draw${group.id}`, onchange: () => set({ g: toggled(drawn.map((g) => g.id), group.id) }) });
  const radio = h("input", { type: "radio", name: "base", checked: group.id === chosen.b, ariaLabel: `baseline ${label}`, at: `base${group.id}`, onclick: () => set({ b: group.id === chosen.b ? "" : group.id }) });
  const open = h("button", { at: `open${group.id}`, title: "its runs", ariaExpanded: opened, onclick: () => set({ o: toggled(chosen.o, group.id) }) }, `${group.runs.length}`);
  const row = h("tr", { className: group.id === chosen.b ? "base" : "" }, h("td", {}, tick, swatch(colourOfGroup(colour))), h("td", {}, radio),
    keys.map((k) => h("td", { className: "value", title: valueOf(group, k) }, valueOf(group, k))),
    h("td", {}, open), h("td", { className: "number" }, range(stepsOf(group))), h("td", { className: "number" }, states(group)),
    metrics.map((m, i) => cell(group, m, best[i], base)));
  return opened ? [row, seedsOf(group)] : [row];
}

function seedsOf(group) {
  const items = group.runs.map((i) => h("li", {}, h("a", { href: addressOf(i) }, `seed ${RUNS[i].seed}`),
    ` ${RUNS[i].state} at ${RUNS[i].step}`, view.metrics.filter((m) => m in RUNS[i].last).map((m) => `, ${DATA.metrics[m]} ${short(last(i, m))}`)));
  return h("tr", { className: "seeds" }, h("td", { colSpan: view.keys.length + view.metrics.length + 5 }, h("ul", {}, items)));
}

function drawGroups() {
  const { groups, keys, metrics } = view, base = groups.find((g) => g.id === chosen.b);
  const best = metrics.map((m) => bestOf(groups, m));
  const head = h("tr", {}, h("th", { scope: "col" }, "draw"), h("th", { scope: "col", title: "differences from it are shown" }, "base"),
    keys.map((k) => heading(k, "s", `k:${k}`)), ["seeds", "step", "state"].map((c) => heading(c, "s", `c:${c}`)),
    metrics.map((m) => heading(DATA.metrics[m], "s", `m:${DATA.metrics[m]}`)));
  const rows = (all ? groups : groups.slice(0, ROWS)).flatMap((g) => rowsOf(g, best, base));
  $("groups").replaceChildren(h("table", {}, h("thead", {}, head), h("tbody", {}, rows)), showAll(groups.length));
}

const showAll = (n) => n > ROWS && !all ? h("button", { onclick: () => { all = true; draw(); } }, `show all ${n}`) : "";
