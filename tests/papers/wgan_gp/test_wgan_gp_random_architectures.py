"""What wgan_gp's Tables 2 and 5 and App. C conclude from made-up scores; their architectures."""

from typing import Any

import numpy as np
from lab import config_of
from made_up import changed, claim_of, rows_of, verdicts

from gp_lab.figures.claims import Claim, Verdict
from gp_lab.figures.judging import judged
from gp_lab.figures.table import Row, Table
from gp_lab.launching.config_groups import figure_file
from gp_lab.launching.grid import grid_of, scale_overrides
from gp_lab.networks.random_architectures import RandomGenerator, sample
from gp_lab.papers.wgan_gp import appC, table2

TABLE, SIDES = "wgan_gp/table2", "wgan_gp/appC"


def scored(name: str, **by_method: Any) -> list[Row]:
    """A row for each score of a method; pair n has seed n."""
    pairs = len(next(iter(by_method.values())))
    rows = rows_of(name, pairs)
    return [row | {"score": float(by_method[row["method"]][row["seed"]])} for row in rows]


def wins(claims: dict[str, Verdict]) -> list[Verdict]:
    return [verdict for text, verdict in claims.items() if "than the standard GAN" in text]


# -- Tables 2 and 5 ------------------------------------------------------------------------

PAIRS = 60
WEAK, STRONG = np.linspace(1.2, 2.4, PAIRS), np.linspace(7.2, 8.4, PAIRS)


def test_the_paper_s_outcome_supports_that_wgan_gp_trains_more() -> None:
    found = verdicts(TABLE, scored(TABLE, gan=WEAK, wgan_gp=STRONG))
    assert wins(found) == [Verdict.SUPPORTED] * 4


def test_a_standard_gan_that_trains_more_contradicts_it() -> None:
    found = verdicts(TABLE, scored(TABLE, gan=STRONG, wgan_gp=WEAK))
    assert wins(found) == [Verdict.NOT_SUPPORTED] * 4


def test_where_both_succeed_or_neither_does_nothing_is_decided() -> None:
    found = verdicts(TABLE, scored(TABLE, gan=STRONG, wgan_gp=STRONG))
    assert wins(found) == [Verdict.INCONCLUSIVE] * 4


def test_to_be_ahead_at_eleven_thresholds_is_not_to_be_ahead_at_twelve() -> None:
    def first(strong: float) -> Verdict:  # the thresholds between 2.4 and this are won by WGAN-GP
        rows = scored(TABLE, gan=np.full(PAIRS, 2.4), wgan_gp=np.full(PAIRS, strong))
        return wins(verdicts(TABLE, rows))[0]

    assert first(7.9) == Verdict.INCONCLUSIVE  # 2.5, 3, ..., 7.5
    assert first(8.4) == Verdict.SUPPORTED  # and 8


def test_pairs_are_counted_by_which_of_the_two_succeeds() -> None:
    rows = scored(TABLE, gan=[4, 1, 4, 1, 1, 4], wgan_gp=[1, 4, 4, 1, 4, 4])
    rows = changed(rows, {"method": "gan", "seed": "4"}, state="diverged", score=np.nan)
    rows = changed(rows, {"method": "gan", "seed": "5"}, state="failed", score=np.nan)
    table = Table(rows, grid_of(figure_file(TABLE)))
    assert table2.counts(table, 3.0) == [1, 2, 1, 1]


def test_the_paper_s_own_table_counts_all_of_its_pairs_and_wgan_gp_is_ahead_in_it() -> None:
    assert {sum(counts) for counts in table2.PAPER.values()} == {table2.PAIRS}
    assert len(table2.PAPER) == 17
    assert sum(ours > gan for gan, ours, _, _ in table2.PAPER.values()) >= table2.MOST


def test_the_share_that_only_wgan_gp_trains_is_held_to_the_paper_s_at_its_scale() -> None:
    text = "as many architectures as in the paper only WGAN-GP trains to 5"

    def claim(only: int) -> Claim:
        gan, ours = np.full(200, 2.0), np.where(np.arange(200) < only, 8.0, 2.0)
        return claim_of(TABLE, scored(TABLE, gan=gan, wgan_gp=ours), text)

    assert claim(147).test.verdict == Verdict.SUPPORTED
    assert claim(40).test.verdict == Verdict.NOT_SUPPORTED
    assert claim(147).at("miniature").test.verdict == Verdict.NEEDS_PAPER


def test_a_seed_trains_the_architecture_of_its_number() -> None:
    config = config_of("architecture=dcgan_table1", "architecture.pair=${seed}", "seed=17", base=())
    assert [config["architecture"][of]["pair"] for of in ("generator", "discriminator")] == [17, 17]


def test_narrower_nets_are_those_of_the_list_with_fewer_filters() -> None:
    filters = sample(0)[17].generator.filters
    assert RandomGenerator(8, 16, 1, pair=17).output.in_channels == filters
    assert RandomGenerator(8, 16, 1, pair=17, narrower=8).output.in_channels == filters // 8


# -- App. C --------------------------------------------------------------------------------

MANY = 400


def sides(won: int, score: float = 6.0, of: int = MANY) -> list[Verdict]:
    """Of so many architectures on which two sides win, of all those that differ."""
    ahead = np.where(np.arange(of) < won, 0.1, -0.1)
    rows = scored(SIDES, two_sided=score + ahead, one_sided=np.full(of, score))
    table = Table(rows, grid_of(figure_file(SIDES)))
    return [claim.test.verdict for claim in judged(appC.claims, table, "paper")]


def test_who_two_sidesand_whether_by_little_are_two_questions() -> None:
    assert sides(200) == [Verdict.INCONCLUSIVE, Verdict.SUPPORTED]
    assert sides(300) == [Verdict.SUPPORTED, Verdict.NOT_SUPPORTED]
    assert sides(100) == [Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED]


def test_what_it_takes_to_decide_is_as_the_entry_s_file_says() -> None:
    better, even = (
        [Verdict.SUPPORTED, Verdict.INCONCLUSIVE],
        [Verdict.INCONCLUSIVE, Verdict.SUPPORTED],
    )
    for of, least, most, two_sides in ((174, 76, 98, 103), (120, 55, 65, 73)):
        assert sides(least, of=of) == sides(most, of=of) == even
        assert even not in (sides(least - 1, of=of), sides(most + 1, of=of))
        assert sides(two_sides, of=of) == better
        assert sides(two_sides - 1, of=of) == [Verdict.INCONCLUSIVE] * 2
    assert sides(100, of=174) == [Verdict.INCONCLUSIVE] * 2
    assert sides(100, of=177) == even


def test_a_two_sided_penalty_that_trains_less_is_refuted_though_it_fails_on_most() -> None:
    of = np.arange(MANY)
    rows = scored(SIDES, two_sided=np.where(of < 100, 5, 2), one_sided=np.full(MANY, 6))
    assert list(verdicts(SIDES, rows).values()) == [Verdict.NOT_SUPPORTED] * 2


def test_networks_that_learn_nothing_decide_nothing_about_a_penalty() -> None:
    assert sides(200, score=1.5) == sides(300, score=1.5) == [Verdict.INCONCLUSIVE] * 2


def test_architectures_that_neither_penalty_trains_are_no_trials() -> None:
    rows = scored(SIDES, two_sided=[4, 2, 2.9, 5], one_sided=[2, 1, 2.8, 6])
    assert appC.wins(Table(rows, grid_of(figure_file(SIDES)))) == (1, 2)


def test_equal_scores_and_failed_runs_are_no_trials() -> None:
    rows = scored(SIDES, two_sided=[4, 5, 6, 7], one_sided=[3, 5, 7, 6])
    rows = changed(rows, {"method": "one_sided", "seed": "3"}, state="failed", score=np.nan)
    assert appC.wins(Table(rows, grid_of(figure_file(SIDES)))) == (1, 2)


def test_the_two_sided_runs_are_those_of_table_2() -> None:
    for scale in ("paper", "miniature", "smoke"):
        found = []
        for name, method in ((TABLE, "wgan_gp"), (SIDES, "two_sided")):
            file = figure_file(name)
            (panel,) = grid_of(file).at(method=method)
            of_scale = scale_overrides(file, scale, panel)
            found.append([*file["common"], *panel.overrides, *of_scale])
        assert found[0] == found[1]
