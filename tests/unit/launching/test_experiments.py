"""Experiments and Hydra's own settings: obeyed as Hydra's users know them, or refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from lab import BARE, config_of

from gp_lab.cli import COMMANDS, main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.arguments import parse_arguments
from gp_lab.launching.asked import is_sweep
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.launching.config_groups import choices
from gp_lab.runs.folder import State, find_runs
from gp_lab.runs.identity import run_hash

HEAD = "# @package _global_\n# Mine.\n"
OWN = f"""{HEAD}defaults:
  - override /penalty: zero_gp
  - override /dataset: swiss_roll
  - override /probe: [curve]
steps: 2
penalty: {{weight: 3.0}}
"""
SWEPT = f"""{OWN}hydra:
  mode: MULTIRUN
  sweeper:
    params: {{seed: range(2), optimizer.lr: "0.1,0.2"}}
"""
TINY = (*(word for word in BARE if word != "probe=[]"), "compile=never")


def own(folder: Path, **files: str) -> str:
    """Write experiments of one's own; the flag that adds them."""
    (folder / "mine" / "experiment").mkdir(parents=True, exist_ok=True)
    (folder / "mine" / "strange").mkdir(exist_ok=True)  # no group of anything
    (folder / "mine" / "strange" / "x.yaml").write_text("a: 1\n")
    for name, text in files.items():
        (folder / "mine" / "experiment" / f"{name}.yaml").write_text(text)
    return f"--config-dir={folder / 'mine'}"


def test_an_experiment_is_the_run_that_the_same_settings_by_hand_are(tmp_path: Path) -> None:
    own(tmp_path, own=OWN)
    by_hand = ["dataset=swiss_roll", "penalty=zero_gp", "penalty.weight=3", "steps=2"]
    with hydra_session(str(tmp_path / "mine")) as hydra:
        found = compose(hydra, ["experiment=own"])
        assert found == compose(hydra, [*by_hand, "probe=[curve]"])
        other = compose(hydra, ["experiment=own", "steps=7", "penalty.weight=1"])
        assert (other["steps"], other["penalty"]["weight"]) == (7, 1)
        assert compose(hydra, ["experiment=own", "dataset=circles"])["dataset"]["name"] == "circles"
    assert "experiment" not in found
    # As these settings were called when there were no experiments.
    before = ("architecture=mlp", "steps=10000", "probe=[surface,samples]")
    assert run_hash(config_of("seed=3", *before, base=())) == "c862dc8508af"


def test_values_for_an_experiments_own_choices_are_left_out_with_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own(tmp_path, own=OWN)
    with hydra_session(str(tmp_path / "mine")) as hydra:
        found = compose(hydra, ["experiment=own", "penalty=none"])
    assert found["penalty"] == config_of("penalty=none", base=())["penalty"]
    assert "penalty.weight with penalty=none" in capsys.readouterr().err


def test_an_experiment_trains_all_of_its_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [own(tmp_path, swept=SWEPT), "experiment=swept", *TINY, "probe=[]"]
    assert main(["train", *words, "--cfg", "job"]) == Exit.OK
    head, *rows, shared = capsys.readouterr().out.splitlines()
    assert head == "4 runs, 0 of them finished"
    assert "experiment=swept" in shared
    assert not (tmp_path / "outputs").exists()
    assert main(["train", *words, "seed=5,6"]) == Exit.OK  # the command line counts
    found = list(find_runs(tmp_path / "outputs"))
    assert {run.state for run in found} == {State.FINISHED}
    assert sorted((r.config["seed"], r.config["optimizer"]["lr"]) for r in found) == [
        (seed, lr) for seed in (5, 6) for lr in (0.1, 0.2)
    ]
    capsys.readouterr()
    assert main(["train", *words, "seed=5,7", "--cfg", "job"]) == Exit.OK
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert head == "4 runs, 2 of them finished"
    assert [row.split()[1] for row in rows] == ["finished", "finished", "to", "to"]
    assert {row.split()[0] for row in rows[:2]} < {run.path.name for run in found}


@pytest.mark.seconds
@pytest.mark.parametrize("name", choices("experiment"))
def test_an_experiment_of_the_lab_trains(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    digits = ["dataset=stacked_mnist_5k", "architecture.filters=4"]
    nets = digits if name == "stacked_mnist" else ["architecture.width=4"]
    small = ["steps=2", *nets, "batch_size=4", "probe=[]", "seed=0"]
    plain = ["tracking=none", "compile=never", "threads=1", "device=cpu"]
    with hydra_session() as hydra:
        swept = is_sweep(hydra, parse_arguments([f"experiment={name}"]))
    alone = ["hydra.launcher.processes=1"] * swept
    assert main(["train", f"experiment={name}", *small, *plain, *alone]) == Exit.OK
    assert {run.state for run in find_runs(tmp_path / "outputs")} == {State.FINISHED}


REFUSED = {
    "hydra.run.dir=/x": "has no effect here; .* out=DIR",
    "hydra.sweep.dir=/x": "has no effect here; .* out=DIR",
    "hydra.sweep.subdir=x": "has no effect here; .* out=DIR",
    "hydra.output_subdir=x": "has no effect here; .* out=DIR",
    "hydra.job.chdir=true": "has no effect here; a run never changes the folder",
    "hydra.job.name=x": "has no effect here",
    "+hydra.job.env_set.X=1": "has no effect here",
    "hydra.job.env_copy=[NOWHERE]": "has no effect here",
    "hydra.job_logging.root=x": "has no effect here; .* metrics.jsonl",
    "hydra/job_logging=default": "has no effect here; .* metrics.jsonl",
    "hydra/hydra_logging=colorlog": "has no effect here; .* metrics.jsonl",
    "hydra.verbose=true": "has no effect here",
    "+hydra.callbacks.x._target_=os.system": "has no effect here; .* probe",
    "hydra.runtime.cwd=/x": "has no effect here; obeyed are hydra.launcher, hydra.sweeper",
    "hydra/launcher=replicas": "only a sweep has a launcher; add -m",
    "hydra.launcher.processes=2": "only a sweep has a launcher; add -m",
    "hydra.sweeper.params={seed:'0,1'}": "only a sweep has a sweeper; add -m",
    "hydra.sweeper.max_batch_size=2": "no such key",
    "hydra/sweeper=basic": "no such choice; choose from panels",
    "experiment=wgan_gp_toi": "no such choice; .* did you mean wgan_gp_toy",
    "+experiment=wgan_gp_toy": "leave out the",
    "experiment=wgan_gp_toy,swiss_roll_penalties": "several values are a sweep; add -m",
    "+strange=x": "strange: no such key",
}
"""A setting that has no effect on one run -> what is said."""


def composed(words: Sequence[str], folder: Path | None = None) -> None:
    args = parse_arguments(list(words))
    with hydra_session(str(folder) if folder else None) as hydra:
        if is_sweep(hydra, args):
            sweep_of(hydra, args.overrides)
        else:
            compose(hydra, args.overrides)


@pytest.mark.parametrize("word", REFUSED)
def test_a_setting_of_hydras_without_effect_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match=REFUSED[word]):
        composed([word])


IN_A_FILE = {
    "hydra: {run: {dir: /x}}": "hydra.run.dir=/x: .* no effect",
    "hydra: {job: {chdir: true}}": "hydra.job.chdir=.*: .* no effect",
    "hydra: {callbacks: {x: {_target_: os.system}}}": "hydra.callbacks.x._target_=.* no effect",
    "hydra: {job_logging: {root: {level: INFO}}}": "hydra.job_logging.root.level.* no effect",
    "hydra: {launcher: {processes: 2}}": "only a sweep has a launcher",
    "hydra: {mode: MULTIRUN, sweeper: {params: {penalty.wieght: 1}}}": "penalty.wieght: no such",
    "stpes: 3": "stpes: no such key; .* did you mean steps",
    "penalty: {wieght: 3}": "penalty.wieght: no such key; .* did you mean weight",
    "trust: [os]": "trust=.*: said by a config; a package is admitted on the command line",
}
"""What an experiment's file says -> what is said to that."""


@pytest.mark.parametrize("text", IN_A_FILE)
def test_an_experiments_file_is_checked_as_the_command_line_is(text: str, tmp_path: Path) -> None:
    own(tmp_path, own=f"{HEAD}{text}\n")
    with pytest.raises(BadInput, match=IN_A_FILE[text]):
        composed(["experiment=own"], tmp_path / "mine")


def test_a_sweep_over_experiments_is_one_where_they_ask_for_nothing_of_hydra(
    tmp_path: Path,
) -> None:
    own(tmp_path, own=OWN, other=f"{HEAD}steps: 3\n", swept=SWEPT)
    with hydra_session(str(tmp_path / "mine")) as hydra:
        jobs = sweep_of(hydra, ["experiment=own,other"]).jobs
        assert [job.config["steps"] for job in jobs] == [2, 3]
        with pytest.raises(BadInput, match="choose that experiment alone"):
            sweep_of(hydra, ["experiment=own,swept"])


def test_a_mistyped_experiment_of_ones_own_ends_with_the_choices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [own(tmp_path, own=OWN), "experiment=onw", f"out={tmp_path / 'out'}"]
    assert main(["train", *words]) == Exit.BAD_INPUT
    said = capsys.readouterr().err
    assert (
        "choose from own, stacked_mnist, swiss_roll_penalties, wgan_gp_toy; did you mean own?"
        in said
    )
    assert main(["figure", "wgan_gp/fig1b", "experiment=wgan_gp_toy"]) == Exit.BAD_INPUT
    assert "an entry has settings of its own" in capsys.readouterr().err


def test_a_folder_on_hydras_search_path_counts_too(tmp_path: Path) -> None:
    own(tmp_path, own=OWN)
    with hydra_session() as hydra:
        words = [f"hydra.searchpath=[file://{tmp_path / 'mine'}]", "experiment=own"]
        assert compose(hydra, words)["penalty"]["weight"] == 3


def test_lists_have_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "experiments", own(tmp_path, own=OWN)]) == Exit.OK
    assert "own                   Mine." in capsys.readouterr().out
    assert main(["list", "--config-dir", str(tmp_path / "nowhere")]) == Exit.BAD_INPUT


def test_the_program_that_calls_the_lab_keeps_its_own_hydra() -> None:
    with hydra_session() as outer:
        with hydra_session() as inner:
            assert inner is not outer
        assert compose(outer, ["seed=4"])["seed"] == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_to_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == Exit.OK
    said = capsys.readouterr().out
    assert f"gp-lab {command}" in said or "Configuration groups" in said
