// All is drawn; the address keeps what is chosen; keys.

const placeOf = () => location.hash.split("?")[0];
const viewNow = () => document.body.dataset.view;

function draw() {
  const held = document.activeElement?.dataset?.at, tests = wordsOf(chosen.f).map(test), runs = passing(tests);
  const groups = groupsOf(runs), keys = telling(groups), known = metricsOf(groups);
  const asked = chosen.m.map((name) => METRIC.get(name)).filter((m) => m !== undefined);
  view = { groups: inOrder(groups), keys, labels: keys, metrics: asked.length ? asked : known.slice(0, WIDE), drawn: [], passing: runs };
  const first = foremost(view.groups, view.metrics);
  view.drawn = chosen.g.length ? chosen.g.map((id) => view.groups.find((g) => g.id === id)).filter(Boolean) : first.drawn;
  view.labels = view.drawn.length > 1 ? telling(view.drawn) : keys;
  drawBar(tests, known, first.by);
  clearCharts();
  if (viewNow() === "compare") { drawGroups(); curveBar(); drawCurves(known); drawPictures(); drawHeat(); drawCoordinates(); }
  if (viewNow() === "runs") { drawRuns(); openRun(decoded(/^#run-(.*)/.exec(placeOf())?.[1] ?? "")); }
  if (held && document.activeElement === document.body) focusOn(held);
}

const focusOn = (at) => [...document.querySelectorAll("[data-at]")].find((x) => x.dataset.at === at)?.focus({ preventScroll: true });

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** What stands above the views: what the filter leaves, and the metrics that there are. */
function drawBar(tests, known, by) {
  const { groups, metrics, drawn, passing: runs } = view, wrong = [...new Set(tests.map((t) => t.wrong))].join("");
  const apart = metrics.filter((m) => mixed(groups, m)).map((m) => DATA.metrics[m]);
  const unasked = chosen.g.length || drawn.length === groups.length || viewNow() !== "compare" ? ""
    : `${by ? `The best ${drawn.length} by ${by}` : `The first ${drawn.length}`} are drawn; tick others to choose. `;
  $("said").replaceChildren(`${runs.size} of ${RUNS.length} runs in ${groups.length} groups. `, h("span", { className: "wrong" }, wrong),
    apart.length ? h("b", {}, `Measured with different settings: ${apart.join(", ")}. `) : "", unasked);
  const box = (m) => h("input", { type: "checkbox", at: `metric${m}`, checked: metrics.includes(m),
    onchange: () => set({ m: known.filter((k) => metrics.includes(k) !== (k === m)).map((k) => DATA.metrics[k]) }) });
  $("metrics").replaceChildren(...known.map((m) => h("label", {}, box(m), DATA.metrics[m])));
  if ($("filter").value !== chosen.f) $("filter").value = chosen.f;
  $("scope").value = wordsOf(chosen.f).find((w) => w.startsWith("figure=")) ?? "";
}

function set(changes) {
  Object.assign(chosen, changes);
  remember();
  draw();
}

const START = { ...chosen };

/** The address says all that is not as it was at the start. */
function remember() {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(chosen)) {
    if (String(value) !== String(START[key])) words.set(key, Array.isArray(value) ? value.join(",") : String(value));
  }
  history.replaceState(history.state, "", `${placeOf() || "#compare"}${words.size ? `?${words}` : ""}`);
}

/** Show what the address says; one without words leaves the choices as they are. */
function read() {
  const words = location.hash.slice(placeOf().length), given = new URLSearchParams(words.slice(1));
  for (const [key, start] of Object.entries(words ? START : {})) {
    const text = given.get(key);
    chosen[key] = text === null ? start : Array.isArray(start) ? text.split(",").filter(Boolean)
      : typeof start === "boolean" ? text === "true" : typeof start === "number" ? +text || 0 : text;
  }
  const place = placeOf(), entry = place.startsWith("#entry-") || place === "#budgets" ? $(place.slice(1)) : null;
  document.body.dataset.view = entry || place === "#edition" ? "edition" : place.startsWith("#run") ? "runs"
    : place === "#compare" || DATA.groups.length || !document.querySelector(".entry") ? "compare" : "edition";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${viewNow()}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (location.hash) remember();
  draw();
  if (entry) { (entry.closest(".entry") ?? entry).open = true; entry.scrollIntoView(); }
  return entry;
}

/** Go to another address of the page, at its top. */
function go(place) {
  history.pushState(null, "", place);
  arrive();
}

function arrive() {
  if (!read()) scrollTo(0, 0);
}

function scopes() {
  const figures = [...new Set(RUNS.flatMap((r) => r.figures))].sort(), own = RUNS.some((r) => !r.figures.length);
  const options = [["", "all"], ...(own && figures.length ? [["figure=none", "no figure"]] : []), ...figures.map((f) => [`figure=${quoted(f)}`, f])];
  $("scope").append(...options.map(([v, text]) => h("option", { value: v }, text)));
  chosen.f = START.f = options.length > 2 ? options[1][0] : "";
  $("scope").onchange = (e) => set({ f: [e.target.value, rewritten("figure", "")].filter(Boolean).join(" "), g: [], b: "", o: [] });
}

const typing = (e) => /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) && e.target.type !== "checkbox";

function pressed(e) {
  if (e.target.id === "filter" && e.key === "Escape") set({ f: "" });
  if (e.ctrlKey || e.metaKey || e.altKey || typing(e)) return;
  const views = { 1: "#compare", 2: "#edition", 3: "#runs" }, slider = document.querySelector(`#of-${viewNow()} .steps`);
  if (e.key === "/") { if (viewNow() === "edition") go("#compare"); $("filter").focus(); e.preventDefault(); }
  if (views[e.key]) go(views[e.key]);
  if (slider && /^Arrow(Left|Right)$/.test(e.key)) { slider.value = +slider.value + (e.key === "ArrowRight" ? 1 : -1); slider.oninput(); }
  if ((e.key === "n" || e.key === "p") && viewNow() === "edition") {
    const entries = [...document.querySelectorAll(".entry")], at = entries.findIndex((x) => x.contains($(placeOf().slice(1))));
    const next = entries[e.key === "n" ? at + 1 : at - 1];
    if (next) go(`#${next.id}`);
  }
}

/** Paper is white: charts are drawn in its colours, and all entries are open. */
function printed(on) {
  document.documentElement.classList.toggle("paper", on);
  if (on) document.querySelectorAll("#of-edition .entry").forEach((x) => { x.open = true; });
  draw();
}

let waiting, timer;
$("filter").oninput = (e) => { clearTimeout(waiting); waiting = setTimeout(() => set({ f: e.target.value }), 150); };
for (const link of document.querySelectorAll(".runs-of")) link.onclick = () => Object.assign(chosen, { ...START, f: `figure=${quoted(link.dataset.figure)}` });
addEventListener("hashchange", arrive);
addEventListener("keydown", pressed);
addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(draw, 100); });
addEventListener("beforeprint", () => printed(true));
addEventListener("afterprint", () => printed(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
scopes();
read();
