// In a page that `gp-lab report --watch` serves, and in no other: a newer build takes its place,
// with all that is chosen, open and in sight.

const BUILD = document.documentElement.dataset.build, EVERY = 2000, IDLE = 3000;  // milliseconds
let touched = 0;

async function look() {
  let newer = false, said = "live";
  try {
    const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
    newer = answer.ok && answer.headers.get("ETag") !== `"${BUILD}"`;
  } catch { said = "no longer live: the command has ended"; }
  if (newer && Date.now() - touched > IDLE) return follow();
  $("live").textContent = newer ? "a newer build comes as soon as you pause" : said;
  setTimeout(look, said === "live" ? EVERY : 5 * EVERY);
}

function follow() {
  const open = [...document.querySelectorAll("details[id][open]")].map((x) => x.id);
  history.replaceState({ y: scrollY, open, at: document.activeElement?.dataset?.at }, "");
  location.reload();
}

function restore({ y, open, at }) {
  for (const id of open) if ($(id)) $(id).open = true;
  if (at) focusOn(at);
  scrollTo(0, y);
  history.replaceState(null, "");
}

if (BUILD) {
  for (const kind of ["pointerdown", "pointermove", "keydown", "input", "wheel", "touchmove"]) addEventListener(kind, () => { touched = Date.now(); }, { capture: true, passive: true });
  if (history.state?.open) restore(history.state);
  setTimeout(look, EVERY);
}
