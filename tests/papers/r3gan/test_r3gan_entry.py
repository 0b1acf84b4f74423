"""What is concluded from the modes that R3GAN and the methods beside it hit."""

from made_up import rows_of, verdicts

from gp_lab.figures.claims import Verdict
from gp_lab.figures.table import Row

NAME = "r3gan/stacked_mnist"


def rows(**kl: float) -> list[Row]:
    """Of 10 seeds that differ a little; a method covers all modes if its divergence is small."""
    found = rows_of(NAME, 10)
    for row in found:
        row["kl"] = kl[row["method"]] * (1 + 0.01 * row["seed"])
        row["full"] = int(row["kl"] < 0.2)
    return found


def test_each_sentence_holds_where_its_method_is_ahead_and_falls_where_it_is_behind() -> None:
    ahead = verdicts(NAME, rows(r3gan=0.1, gan=0.5, wgan_gp=0.4))
    assert set(ahead.values()) == {Verdict.SUPPORTED}
    behind = verdicts(NAME, rows(r3gan=0.6, gan=0.5, wgan_gp=0.4))
    assert set(behind.values()) == {Verdict.NOT_SUPPORTED}
    between = [v for text, v in verdicts(NAME, rows(r3gan=0.3, gan=0.5, wgan_gp=0.2)).items()]
    assert between == [Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED]


def test_a_method_that_is_as_good_leaves_it_open() -> None:
    found = rows(r3gan=0.1, gan=0.1, wgan_gp=0.4)
    for row in found:
        row["kl"] += 0.01 * (-1) ** row["seed"] * (row["method"] == "gan")
    assert next(iter(verdicts(NAME, found).values())) == Verdict.INCONCLUSIVE
