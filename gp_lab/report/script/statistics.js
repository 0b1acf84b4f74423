// Means, intervals and differences over seeds, and how numbers are written.

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
const measured = (group, m) => counted(group).filter((i) => m in RUNS[i].last);
const last = (i, m) => numeric(RUNS[i].last[m]);
const scoreOf = (group, m) => interval(measured(group, m).map((i) => last(i, m)));

/** By how much a group's value is above the baseline's, seed by seed. */
function difference(group, base, m) {
  const seeds = new Map(measured(base, m).map((i) => [RUNS[i].seed, last(i, m)]));
  const pairs = measured(group, m).filter((i) => seeds.has(RUNS[i].seed));
  return interval(pairs.map((i) => last(i, m) - seeds.get(RUNS[i].seed)));
}

/** Whether probes of different settings have measured a metric of these groups. */
const mixed = (groups, m) => new Set(groups.flatMap((g) => g.settings[m] ?? [])).size > 1;

/** Of a metric the best mean among the groups; none where nobody can say which way is better. */
function bestOf(groups, m) {
  const means = groups.map((g) => DATA.better[m] * scoreOf(g, m).mean).filter((x) => !Number.isNaN(x));
  return DATA.better[m] && means.length > 1 && !mixed(groups, m) ? Math.max(...means) : NaN;
}

/** The groups that are drawn unasked: the best by the first metric that has a better way. */
function foremost(groups, metrics) {
  const m = metrics.find((k) => !Number.isNaN(bestOf(groups, k)));
  if (groups.length <= FIRST || m === undefined) return { drawn: groups.slice(0, FIRST), by: "" };
  const means = new Map(groups.map((g) => [g, DATA.better[m] * scoreOf(g, m).mean]));
  const order = groups.filter((g) => !Number.isNaN(means.get(g))).sort((a, b) => means.get(b) - means.get(a));
  const best = new Set(order.slice(0, FIRST));
  return { drawn: groups.filter((g) => best.has(g)), by: DATA.metrics[m] };
}

const short = (x) => Number.isNaN(x) ? "nan" : String(+x.toPrecision(4));

/** A mean to the second digit of its interval's half-width, and that; alone without one. */
function shown({ mean, half }) {
  if (!Number.isFinite(half)) return short(mean);
  const digits = 1 - Math.floor(Math.log10(half));
  if (half === 0 || digits < 0 || digits > 5) return `${short(mean)} ± ${+half.toPrecision(2)}`;
  return `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
}

const range = (xs) => { const [a, b] = [Math.min(...xs), Math.max(...xs)]; return !xs.length ? "-" : a === b ? `${a}` : `${a}-${b}`; };

/** Rows by their values: numbers by size, then texts, then those without; `down`: turned round. */
function sorted(rows, value, down) {
  const rank = (x) => typeof x === "string" ? (x === "" ? 2 : 1) : Number.isNaN(x) ? 2 : 0;
  const sign = down ? -1 : 1;
  return rows.map((row) => [value(row), row]).sort(([x], [y]) => rank(x) - rank(y)
    || (rank(x) === 2 ? 0 : sign * (x < y ? -1 : x > y ? 1 : 0))).map(([, row]) => row);
}
