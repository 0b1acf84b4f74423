"""The sentences that the edition began with: each is listed once, and is told what became of it."""

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
import yaml
from first_sentences import (
    DECIDED,
    FILE,
    MERGED,
    NOT_RUN,
    PAGE,
    TAKEN_OUT,
    Fate,
    fates,
    first_sentences,
    page,
)

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "outputs" / "reference"
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "reference.py"))


def test_345_sentences_are_listed_once_and_203_of_them_were_undecided() -> None:
    every = first_sentences(KEPT)
    assert len({(first.entry, first.text) for first in every}) == len(every) == 345
    assert Counter((first.scale, first.then) for first in every) == {
        ("quick", "supported"): 22,
        ("quick", NOT_RUN): 193,
        ("paper", "supported"): 101,
        ("paper", "not supported"): 19,
        ("paper", NOT_RUN): 10,
    }


def test_each_successor_is_among_what_is_kept_and_decides_one_sentence() -> None:
    found = fates(KEPT)  # raises SystemExit with the ones that are missing
    decided = [(f.first.entry, text) for f in found if f.kind == DECIDED for text in f.first.now]
    assert len(decided) == len(set(decided))
    assert all((f.kind == DECIDED) == (not f.why) for f in found)


def test_what_was_taken_out_is_not_among_what_is_kept() -> None:
    for first in first_sentences(KEPT):
        if first.none:
            entry, _, dataset = first.entry.partition("-")
            kept = KEPT.glob(f"{entry}/*{dataset}/claims.json")
            assert first.text not in {
                c["text"] for p in kept for c in json.loads(p.read_text())["claims"]
            }


def test_the_page_is_what_the_script_writes() -> None:
    today = SCRIPT["counts"](SCRIPT["of_the_papers"](KEPT))
    assert (KEPT / PAGE).read_text() == page(KEPT, today)  # python scripts/reference.py outputs


SENTENCES = """
zero_gp/fig6:
  scale: quick
  sentences:
    - supported: it grows
    - not run at paper scale: it learns
      now: it learns in miniature
    - not run at paper scale: it is learnt
      now: it learns in miniature
    - not run at paper scale: it is best
      now: [it is better than A, it is better than B]
    - not run at paper scale: it is not worse
      now: [it is no worse than A, it is no worse than B]
    - not run at paper scale: its FID is 3
    - supported: it is odd
      none: it is ours
"""
VERDICTS = {
    "it grows": ("inconclusive", "not supported"),
    "it learns in miniature": ("supported", "inconclusive"),
    "it is better than A": ("supported", "supported"),
    "it is better than B": ("inconclusive", "inconclusive"),
    "it is no worse than A": ("not supported", "supported"),
    "it is no worse than B": ("inconclusive", "inconclusive"),
    "its FID is 3": ("needs scale=paper", "needs scale=paper"),
}


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Of one entry: its sentences then, and what is kept of it at both scales."""
    whole = json.loads((KEPT / "zero_gp" / "fig6" / "miniature" / "claims.json").read_text())
    (tmp_path / FILE).write_text(SENTENCES)
    for i, scale in enumerate(("miniature", "paper")):
        claims = [
            whole["claims"][0] | {"text": text, "verdict": verdicts[i], "dead": "A in 3 of 3 seeds"}
            for text, verdicts in VERDICTS.items()
        ]
        folder = tmp_path / "zero_gp" / "fig6" / scale
        folder.mkdir(parents=True)
        (folder / "claims.json").write_text(json.dumps(whole | {"claims": claims}))
    return tmp_path


def test_a_sentence_is_decided_by_one_of_its_own_at_either_scale(reference: Path) -> None:
    found: dict[str, Fate] = {fate.first.text: fate for fate in fates(reference)}
    assert {text: fate.kind for text, fate in found.items()} == {
        "it grows": DECIDED,
        "it learns": DECIDED,
        "it is learnt": MERGED,
        "it is best": "inconclusive",
        "it is not worse": DECIDED,
        "its FID is 3": "needs scale=paper",
        "it is odd": TAKEN_OUT,
    }
    assert found["it is learnt"].why == "merged away: with it learns"
    assert found["it is odd"].why == "taken out: it is ours"
    assert found["it is best"].why == (
        "in miniature: dead networks: A in 3 of 3 seeds;"
        " at paper scale: dead networks: A in 3 of 3 seeds"
    )


def test_a_successor_that_is_missing_is_named_with_file_and_entry(reference: Path) -> None:
    told = yaml.safe_load(SENTENCES)
    told["zero_gp/fig6"]["sentences"][1]["now"] = "it has learnt"
    told["zero_gp/fig9"] = {"scale": "quick", "sentences": [{"supported": "it rises"}]}
    (reference / FILE).write_text(yaml.safe_dump(told))
    with pytest.raises(SystemExit) as raised:
        fates(reference)
    assert str(raised.value).splitlines() == [
        "first_sentences.yaml: zero_gp/fig6: no sentence of zero_gp/fig6/miniature/claims.json is"
        " 'it has learnt'",
        "first_sentences.yaml: zero_gp/fig6: no sentence of zero_gp/fig6/paper/claims.json is"
        " 'it has learnt'",
        "first_sentences.yaml: zero_gp/fig9: nothing is kept of it; its sentences need `none`",
    ]
