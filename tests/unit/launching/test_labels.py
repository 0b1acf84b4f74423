"""A run's folder is named for what its values differ in from its choices."""

import pytest

from gp_lab.errors import BadInput
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.runs.identity import folder_of, run_hash, run_id


def composed(*overrides):
    with hydra_session() as hydra:
        return compose(hydra, list(overrides))


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ([], None),
        (["penalty=zero_gp", "steps=7", "seed=3", "optimizer=sgd"], None),
        (["penalty.weight=3"], "weight3"),
        (["penalty.weight=10"], None),  # the choice's own
        (["optimizer.betas=[0.5,0.9]", "architecture.width=64"], "width64-betas0.5,0.9"),
        (["dataset=circles", "loss=combined", "loss.beta=2.5"], "beta2.5"),
    ],
)
def test_a_label_says_which_values_are_not_the_choices(overrides, label):
    config = composed(*overrides)
    assert config["label"] == label
    name = run_id(config)
    assert (f"-{label}-s" in name) if label else name.count("-") == 4


def test_of_many_differences_three_are_named_and_the_others_counted():
    words = ["architecture.width=32", "architecture.depth=1", "optimizer.lr=0.01"]
    config = composed(*words, "penalty.weight=1", "penalty.center=0.5")
    assert config["label"] == "depth1-width32-center0.5-2more"


def test_a_label_is_no_part_of_the_identity_and_older_folders_are_found(tmp_path):
    config = composed("penalty.weight=3", f"out={tmp_path}")
    older = config | {"label": None}
    assert run_hash(config) == run_hash(older)
    (tmp_path / "runs" / run_id(older)).mkdir(parents=True)
    assert folder_of(config).name == run_id(older) != run_id(config)


def test_a_sweep_over_choices_and_values_labels_each_run():
    with hydra_session() as hydra:
        words = ["penalty=none,one_gp", "penalty.weight=1,3", "seed=0,1"]
        jobs = sweep_of(hydra, words).jobs
    assert [job.config["label"] for job in jobs] == [None, None, *["weight1"] * 2, *["weight3"] * 2]


def test_a_label_that_leads_elsewhere_is_refused():
    with pytest.raises(BadInput, match="label="):
        run_id(composed() | {"label": "../x"})
