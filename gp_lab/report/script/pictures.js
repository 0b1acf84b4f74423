// What probes kept, side by side by step.

/** Pictures of {label, run}, each at the last of its steps up to the one chosen. */
function gallery(bar, box, items, kinds) {
  const kind = kinds.includes(chosen.kind) ? chosen.kind : kinds[0];
  const found = items.map(({ label, run }) => ({ label, frames: DATA.pictures[run]?.[kind] })).filter((x) => x.frames);
  const steps = [...new Set(found.flatMap((x) => x.frames.map(([step]) => step)))].sort((a, b) => a - b);
  if (!steps.length) return bar.replaceChildren(), box.replaceChildren(small("No pictures of these runs are on the page."));
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
  const slider = h("input", { type: "range", className: "steps", at: "steps", ariaLabel: "step", min: 0, max: steps.length - 1, step: 1, value: Math.max(nearest, 0) });
  const show = () => { const step = steps[slider.value]; said.textContent = `step ${step}`; figures.forEach((f) => f.show(step)); };
  slider.oninput = () => { chosen.step = +slider.value === steps.length - 1 ? "" : String(steps[slider.value]); show(); remember(); };
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
