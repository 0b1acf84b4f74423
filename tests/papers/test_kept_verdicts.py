"""What is kept in `outputs/reference`: its verdicts are today's, of the rows beside them."""

import json
from pathlib import Path

import pytest

from gp_lab.figures.judging import judged_again

REFERENCE = Path(__file__).parents[2] / "outputs" / "reference"
KEPT = sorted(path.parent for path in REFERENCE.glob("*/*/*/claims.json"))

NUMBERS = ("estimate", "low", "high", "level")
"""Equal up to rounding on another machine."""


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: "-".join(path.parts[-3:]))
def test_kept_verdicts_are_those_that_todays_tests_give_to_the_kept_rows(folder: Path) -> None:
    summary = json.loads((folder / "claims.json").read_text())
    today = json.loads(json.dumps(judged_again(folder, summary)))
    assert len(today) == len(summary["claims"])
    for new, kept in zip(today, summary["claims"], strict=True):
        for key in new:  # python scripts/reference.py outputs  writes them anew
            close = (
                key in NUMBERS
                and kept[key] is not None
                and new[key] == pytest.approx(kept[key], 1e-6, 1e-9)
            )
            assert close or new[key] == kept[key], key
