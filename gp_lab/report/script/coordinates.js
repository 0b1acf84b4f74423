// Parallel coordinates: each run a line over the settings that differ, and a metric; its colour is
// the metric's. A stretch of an axis that is drawn over becomes a word of the filter.

const AXES = 8, ORDINAL = 12, TALL = 300, TOP = 40, GAP = 130;  // axes; values set out one by one; pixels

/** An axis of a key: where a run stands on it (0 at the foot, 1 at the top), ticks, and the word of a stretch. */
function axisOfKey(key, groups) {
  const values = valuesInOrder(groups, key), numbers = values.map(([, n]) => n).filter((n) => !Number.isNaN(n));
  const of = (i) => GROUP_OF.get(i).keys.get(key);
  if (values.length > ORDINAL && numbers.length === values.length) return axisOfNumbers(key, numbers, (i) => numeric(of(i)?.[2]));
  const at = new Map(values.map(([text], k) => [text, (k + 0.5) / values.length]));
  const every = Math.ceil(values.length / ORDINAL);
  const word = (low, high) => {
    const inside = values.map(([text]) => text).filter((text) => text !== "-" && at.get(text) >= low && at.get(text) <= high);
    return inside.length ? `${key}=${inside.map(quoted).join(",")}` : "";
  };
  return { key, word, place: (i) => at.get(of(i)?.[1] ?? "-"), ticks: [...at].filter((_, k) => k % every === 0).map(([text, y]) => [y, text]) };
}

/** The same of numbers: by their logarithm where they span much. */
function axisOfNumbers(key, numbers, value) {
  const low = Math.min(...numbers), high = Math.max(...numbers), log = low > 0 && high / low > 100;
  const [to, from] = log ? [Math.log, Math.exp] : [(x) => x, (x) => x];
  const span = to(high) - to(low) || 1, number = (share) => +from(to(low) + share * span).toPrecision(4);
  const word = (a, b) => `${key}=${number(a)}..${number(b)}`;
  return { key, word, place: (i) => (to(value(i)) - to(low)) / span, ticks: [0, 0.25, 0.5, 0.75, 1].map((y) => [y, short(number(y))]) };
}

function drawCoordinates() {
  const tests = wordsOf(chosen.f).map(test), base = passing(tests.filter((t) => !chosen.pc.includes(t.key)));
  const groups = groupsOf(base), keys = telling(groups), { m, pick } = scored(metricsOf(groups)), box = $("coordinates");
  $("coordinate-bar").replaceChildren();
  if (keys.length < 3 || m === undefined) return box.replaceChildren(small("Needs three settings that differ between the groups, and a metric."));
  const runs = groups.flatMap(counted).filter((i) => Number.isFinite(last(i, m)));
  if (!runs.length) return box.replaceChildren(small(`No run has a finite ${DATA.metrics[m]}.`));
  const score = axisOfNumbers(DATA.metrics[m], runs.map((i) => last(i, m)), (i) => last(i, m));
  const axes = [...keys.slice(0, AXES).map((key) => axisOfKey(key, groups)), score];
  const clear = h("button", { at: "clear", onclick: () => set({ f: chosen.pc.reduce((f, key) => wordsOf(f).filter((w) => !w.startsWith(`${key}=`)).join(" "), chosen.f), pc: [] }) }, "clear the axes");
  $("coordinate-bar").replaceChildren(pick("up to", "axis-score"), chosen.pc.length ? clear : "",
    keys.length > AXES ? h("span", { className: "small" }, `The first ${AXES} of ${keys.length} settings.`) : "");
  const wide = Math.max(box.clientWidth, GAP * axes.length), x = (k) => wide * (k + 0.5) / axes.length;
  const lines = runs.map((i) => {
    const points = axes.map((axis, k) => `${x(k)},${height(axis.place(i))}`).join(" ");
    const line = svg("polyline", { points, class: view.passing.has(i) ? "line" : "line faint" }, svg("title", {}, RUNS[i].name));
    line.style.stroke = colourOf(score.place(i)).background;
    return [view.passing.has(i), line];
  });
  const order = [false, true].flatMap((on) => lines.filter(([passes]) => passes === on).map(([, line]) => line));
  const drawing = svg("svg", { viewBox: `0 0 ${wide} ${TALL + TOP + 20}`, width: wide, height: TALL + TOP + 20, role: "img" }, order, axes.map((axis, k) => axisDrawn(axis, x(k), runs, tests)));
  drawing.setAttribute("aria-label", `Parallel coordinates of ${runs.length} runs; the table of groups has the same numbers, the filter the same choices`);
  box.replaceChildren(drawing);
}

const height = (share) => TOP + 10 + TALL * (1 - share);

function axisDrawn(axis, x, runs, tests) {
  const own = chosen.pc.includes(axis.key) ? tests.filter((t) => t.key === axis.key) : [];
  const kept = own.length ? runs.filter((i) => own.every((t) => t.holds(i))).map(axis.place) : [];
  const brush = svg("rect", { x: x - 9, width: 18, class: "brush" });
  const mark = (a, b) => { brush.setAttribute("y", Math.min(a, b)); brush.setAttribute("height", Math.abs(a - b)); };
  if (kept.length) mark(height(Math.max(...kept)) - 6, height(Math.min(...kept)) + 6);
  const grip = svg("rect", { x: x - 22, width: 44, y: TOP, height: TALL + 20, class: "grip" }, svg("title", {}, "draw over a stretch to filter; click to clear"));
  const name = svg("text", { x, y: 16, class: "name" }, axis.key), ticks = axis.ticks.map(([share, text]) => svg("text", { x: x + 6, y: height(share) + 4 }, text.length > 18 ? `${text.slice(0, 17)}…` : text));
  let from = null;
  const share = (y) => Math.min(Math.max(1 - (y - TOP - 10) / TALL, 0), 1);
  const at = (e) => e.clientY - grip.ownerSVGElement.getBoundingClientRect().top;
  grip.onpointerdown = (e) => { from = at(e); grip.setPointerCapture(e.pointerId); };
  grip.onpointermove = (e) => { if (from !== null) mark(from, at(e)); };
  grip.onpointercancel = () => { from = null; draw(); };
  grip.onpointerup = (e) => {
    const [low, high] = [from, at(e)].map(share).sort((a, b) => a - b), word = Math.abs(from - at(e)) < 4 ? "" : axis.word(low, high);
    from = null;
    set({ f: rewritten(axis.key, word), pc: [...chosen.pc.filter((k) => k !== axis.key), ...(word ? [axis.key] : [])] });
  };
  return svg("g", { class: "axis" }, svg("line", { x1: x, x2: x, y1: height(1), y2: height(0) }), name, ticks, brush, grip);
}
