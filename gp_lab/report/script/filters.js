// Runs, their groups over seeds, and what a filter says of them.

const RUNS = DATA.runs, GROUP_OF = new Map();
for (const group of DATA.groups) {
  group.keys = new Map(group.values.map((i) => [DATA.pairs[i][0], DATA.pairs[i]]));
  for (const i of group.runs) GROUP_OF.set(i, group);
}
const configOf = memo((i) => new Map(RUNS[i].config.map((p) => [DATA.pairs[p][0], DATA.pairs[p]])));
const textOf = memo((i) => [RUNS[i].name, RUNS[i].state, ...RUNS[i].figures,
  ...(GROUP_OF.get(i)?.values ?? []).map((p) => DATA.pairs[p][1])].join(" ").toLowerCase());

const WHOLE = String.raw`"[^"]*"|'[^']*'|\[[^\]]*\]`;  // neither a blank nor a comma divides these
const wordsOf = (text) => text.match(RegExp(String.raw`(?:${WHOLE}|\S)+`, "g")) ?? [];
const valuesOf = (text) => text.match(RegExp(`(?:${WHOLE}|[^,])+`, "g")) ?? [];
const bare = (text) => text.replace(/^(["'])(.*)\1$/, "$2").replace(/,\s+/g, ",");
const quoted = (text) => /^[^\s,"']+$/.test(text) ? text : text.includes('"') ? `'${text}'` : `"${text}"`;
const signed = (word) => /^([\w./@:$-]+?)(>=|<=|!=|=|~|>|<)(.*)$/.exec(word);

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

const COMPARED = { ">=": (x, n) => x >= n, "<=": (x, n) => x <= n, ">": (x, n) => x > n, "<": (x, n) => x < n };

/** One of the values behind a `=`: a test of [text, number]. */
function option(text) {
  const range = text.includes("/") ? null : /^(.*?)\.\.(.*)$/.exec(text);
  const [low, high] = range ? [range[1] || -Infinity, range[2] || Infinity].map(Number) : [NaN, NaN];
  if (!Number.isNaN(low + high)) return ([, n]) => n >= low && n <= high;
  const plain = bare(text), number = plain === "" ? NaN : +plain;
  return ([has, n]) => bare(has) === plain || n === number;
}

/** One word of the filter: `holds` of a run; `key`, unless it is free text; `wrong`: why it cannot be. */
function test(word) {
  const found = signed(word);
  if (!found) return { holds: (i) => textOf(i).includes(bare(word).toLowerCase()) };
  const [, key, sign, written] = found, compare = COMPARED[sign], text = bare(written).toLowerCase();
  const options = valuesOf(written).map(option);
  const one = compare ? ([, n]) => compare(n, +written) : sign === "~" ? ([has]) => has.toLowerCase().includes(text)
    : (fact) => options.some((fits) => fits(fact));
  const holds = (i) => { const has = facts(i, key); return has !== undefined && has.some(one) !== (sign === "!="); };
  const wrong = !RUNS.some((_, i) => facts(i, key)) ? `No run has ${key}. `
    : compare && (!written || Number.isNaN(+written)) ? `${word}: no number. ` : "";
  return { key, holds, wrong };
}

/** The places of the runs that pass all tests. */
const passing = (tests) => new Set(RUNS.map((_, i) => i).filter((i) => tests.every((t) => t.holds(i))));

/** The filter with other words, or none, that begin with `KEY=`. */
function rewritten(key, word) {
  const others = wordsOf(chosen.f).filter((w) => !w.startsWith(`${key}=`));
  return [...others, word].filter(Boolean).join(" ");
}

/** The groups with the runs that pass; `whole` where none of a group's is missing. */
function groupsOf(runs) {
  return DATA.groups.map((group) => {
    const own = group.runs.filter((i) => runs.has(i));
    return { ...group, runs: own, whole: own.length === group.runs.length };
  }).filter((group) => group.runs.length);
}

const valueOf = (group, key) => group.keys.get(key)?.[1] ?? "-";

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

/** The values of a key, numbers by size first. */
function valuesInOrder(groups, key) {
  const found = new Map(groups.map((g) => [valueOf(g, key), numeric(g.keys.get(key)?.[2])]));
  return [...found].sort(([a, n], [b, k]) => (Number.isNaN(n) - Number.isNaN(k)) || n - k || (a < b ? -1 : 1));
}
