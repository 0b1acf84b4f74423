"""Files of a group inherit from others, and hold no key that nothing reads."""

import inspect
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import nodes_of
from lab import BARE, assert_same_run

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.instantiate import resolve
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.launching.config_groups import choices, config_folder, groups
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import run_hash
from gp_lab.runs.older import UNREAD, modern

OF_PARTS = [group for group in groups() if group not in ("probe", "figure", "scale")]
INHERITED = {
    "architecture": ("mlp_zero_gp", "width: 3"),
    "constraint": ("clipping", "value: 3.0"),
    "correction": ("pcr", "weight: 0.25"),
    "dataset": ("mnist_1000", "size: 3"),
    "loss": ("combined_tenth", "beta: 3.0"),
    "optimizer": ("adam", "lr: 3.0"),
    "penalty": ("mu_real", "weight: 3.0"),
    "schedule": ("linear", "over: 3"),
    "tracking": ("wandb", "project: three"),
    "scale": ("smoke", ""),
}
"""Group -> a choice to inherit from, and what is said otherwise."""


def own_file(folder: Path, name: str, text: str) -> str:
    """Write a file of one's own; the flag that admits it."""
    path = folder / "mine" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"--config-dir={folder / 'mine'}"


@pytest.mark.parametrize("group", [g for g in groups() if g not in ("probe", "figure")])
def test_a_choice_of_ones_own_inherits_in_every_group(group: str, tmp_path: Path) -> None:
    parent, line = INHERITED[group]
    own_file(tmp_path, f"{group}/own", f"defaults: [{parent}, _self_]\n{line}\n")
    own_file(tmp_path, f"{group}/again", "defaults: [own, _self_]\n")
    with hydra_session(str(tmp_path / "mine")) as hydra:
        usual, own, again = (compose(hydra, [f"{group}={c}"]) for c in (parent, "own", "again"))
    key, _, value = line.partition(": ")
    changes = {key: yaml.safe_load(value)} if key else {}
    assert own[group]["name"] == "own"
    assert {**own, "dataset": 0}.keys() == usual.keys()
    assert own["probe"] == usual["probe"]
    if group == "architecture":
        changes |= {net: usual[group][net] | changes for net in ("generator", "discriminator")}
    assert own[group] == usual[group] | changes | {"name": "own"}
    assert again[group] == own[group] | {"name": "again"}


@pytest.mark.seconds
def test_a_probe_and_an_entry_of_ones_own_inherit(tmp_path: Path) -> None:
    own_file(
        tmp_path, "probe/fine",
        "# @package probe.fine\ndefaults: [surface@_here_, _self_]\npoints: 5\n",
    )  # fmt: skip
    own_file(
        tmp_path, "figure/mine/fig",
        "# @package figure\ndefaults: [/figure/wgan_gp/fig1b, _self_]\nid: mine/fig\n",
    )  # fmt: skip
    with hydra_session(str(tmp_path / "mine")) as hydra:
        usual = compose(hydra, ["probe=[surface]"])["probe"]["surface"]
        assert compose(hydra, ["probe=[fine]"])["probe"] == {"fine": usual | {"points": 5}}
        parent = sweep_of(hydra, ["figure=wgan_gp/fig1b", "scale=smoke"]).jobs
        jobs = sweep_of(hydra, ["figure=mine/fig", "scale=smoke"]).jobs
    assert [run_hash(job.config) for job in jobs] == [run_hash(job.config) for job in parent]
    assert {job.config["figure"]["id"] for job in jobs} == {"mine/fig"}


def test_an_inheriting_choice_trains_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = own_file(tmp_path, "penalty/mild", "defaults: [zero_gp, _self_]\nweight: 0.5\n")
    assert main(["train", own, *BARE, "steps=2", "penalty=mild"]) == Exit.OK
    assert main(["train", *BARE, "steps=2", "penalty=zero_gp", "penalty.weight=0.5"]) == Exit.OK
    (run,) = (tmp_path / "outputs" / "runs").iterdir()  # the same numbers are the same run
    assert "-mild-" in run.name
    assert RunFolder(run).config["penalty"]["name"] == "mild"
    assert main(["resume", str(run), "steps=3"]) == Exit.OK


@pytest.mark.parametrize(
    ("text", "word", "says"),
    [
        ("wieght: 3", "", "penalty.wieght: no such key"),
        ("name: zero_gp", "", "mild.yaml: says name: zero_gp; it must say name: mild"),
        ("weight: 3.0", "penalty.name=../x", "penalty.name=../x: the penalty is named mild"),
        ("weight: 3.0", "+penalty.wieght=1", "penalty.wieght: no such key"),
        ("weight: 3.0", "~penalty.half", "penalty.half: missing"),
    ],
)
def test_an_inheriting_choice_is_checked_as_the_labs_are(
    text: str, word: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = own_file(tmp_path, "penalty/mild", f"defaults: [zero_gp, _self_]\n{text}\n")
    words = [own, *BARE, f"out={tmp_path / 'out'}", "penalty=mild", *([word] if word else [])]
    assert main(["train", *words]) == Exit.BAD_INPUT
    assert says in capsys.readouterr().err


def test_files_that_others_inherit_from_alone_are_no_choices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (config_folder() / "architecture" / "_fixed.yaml").is_file()
    assert not [name for group in groups() for name in choices(group) if "_" in (name[0], "")]
    assert main(["train", "architecture=_fixed"]) == Exit.BAD_INPUT
    assert "architecture=_fixed: no such choice" in capsys.readouterr().err


# Keys without effect


@pytest.mark.parametrize("group", [g for g in OF_PARTS if g != "architecture"])
def test_no_choice_has_a_key_that_its_part_does_not_read(group: str) -> None:
    for name, node in nodes_of(group).items():
        parameters = inspect.signature(resolve(node["_target_"])).parameters
        inside = [v for v in node.values() if isinstance(v, Mapping)]
        for key in node.keys() - {"name", "_target_", *parameters}:
            uses = [of for of in inside if of.get(key) == f"${{..{key}}}"]
            assert uses, f"{group}={name}: nothing reads {key}"


def test_every_key_at_the_top_of_an_architecture_is_used_below_it() -> None:
    for name, node in nodes_of("architecture").items():
        below = json.dumps({k: v for k, v in node.items() if isinstance(v, dict)})
        for key in node.keys() - {"name"}:
            assert isinstance(node[key], dict) or f"..{key}}}" in below, f"{name}: {key}"


def jobs_of(*words: str) -> list[Any]:
    with hydra_session() as hydra:
        return sweep_of(hydra, list(words)).jobs


@pytest.mark.seconds
def test_a_key_that_another_choice_knows_is_left_out_and_named_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = jobs_of("penalty=none,zero_gp", "penalty.weight=1,10", "seed=0,1",
                   "constraint=none,clipping", "constraint.value=0.5")  # fmt: skip
    said = capsys.readouterr().err
    assert said == (
        "left out, as the choice has no such key: constraint.value with constraint=none,"
        " penalty.weight with penalty=none\n"
    )
    wanted = {
        (p, w, c, s)
        for p, w in (("none", None), ("zero_gp", 1), ("zero_gp", 10))
        for c in ("none", "clipping")
        for s in (0, 1)
    }
    found = [
        (c["penalty"]["name"], c["penalty"].get("weight"), c["constraint"]["name"], c["seed"])
        for c in (job.config for job in jobs)
    ]
    assert len(found) == len(wanted) == len({run_hash(job.config) for job in jobs})
    assert set(found) == wanted
    [plain] = jobs_of("penalty=none")
    assert run_hash(plain.config) in {run_hash(job.config) for job in jobs}


@pytest.mark.seconds
def test_one_run_of_a_command_says_what_it_leaves_out_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with hydra_session() as hydra:
        usual = compose(hydra, ["penalty=none"])
        assert capsys.readouterr().err == ""
        assert compose(hydra, ["penalty=none", "penalty.weight=3"]) == usual
    line = "left out, as the choice has no such key: penalty.weight with penalty=none\n"
    assert capsys.readouterr().err == line
    assert main(["train", "--cfg", "job", "penalty=none", "penalty.weight=3"]) == Exit.OK
    said = capsys.readouterr()
    assert said.err == line
    assert yaml.safe_load(said.out)["penalty"] == usual["penalty"]


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("penalty=none", "penalty.weight=-3"), "penalty.weight=-3: must be at least 0"),
        (("penalty=none", "penalty.shape=round"), "penalty.shape=round: no such choice"),
        (("penalty=none", "penalty.wieght=3"), "penalty.wieght: no such key; .*weight"),
        (("optimizer=sgd", "optimizer.betas=[0.5]"), "optimizer.betas=.*: too few entries"),
        (("loss.alpha=x",), "loss.alpha=x: not a number"),
        (("architecture.filters=4.5",), "architecture.generator.filters=4.5: not a whole number"),
        (("architecture.encoder.width=a",), "architecture.encoder.width=a: not a whole number"),
        (("architecture.encoder.foo=3",), "architecture.encoder.foo: no such key; .*width"),
        (("architecture.nowhere.foo=3",), "architecture.nowhere: no such key; choose from act"),
        (("probe=[]", "probe.surface.points=3"), "probe.surface: no such key"),
        (("penalty=none", "+penalty.weight=3"), "penalty.weight: no such key"),
    ],
)
def test_what_no_choice_would_take_is_refused(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadInput, match=says), hydra_session() as hydra:
        compose(hydra, list(words))


def test_a_part_is_not_built_with_a_key_that_it_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sgd = "optimizer._target_=gp_lab.training.optimizers.SGD"
    words = [*BARE, f"out={tmp_path}", "steps=1", sgd]
    assert main(["train", *words]) == Exit.BAD_INPUT
    assert "optimizer.betas: no such key; choose from lr" in capsys.readouterr().err
    assert main(["train", *words, "~optimizer.betas", "~optimizer.eps"]) == Exit.OK


# Runs of before


OF_BEFORE = {
    "constraint": {"value": 0.01, "iterations": 1},
    "loss": {"alpha": -1.0, "beta": 1.0, "gamma": 1.0},
    "penalty": {
        "measure": "none", "shape": "squared", "center": 0.0, "reduction": "mean",
        "output": "logit", "weight": 0.0, "half": False, "anchor": [0.0], "carry": 0.125,
    },
    "optimizer": {"alpha": 0.99, "momentum": 0.0},
    "tracking": {"mode": "auto", "project": None, "entity": None},
}  # fmt: skip
"""What a run of WGAN without a penalty had beside the keys that it read."""


def as_before(run: Path) -> None:
    """Give a run's folder the config that it would have had when parts held all keys."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    for group, keys in OF_BEFORE.items():
        config[group] |= keys
    config["penalty"]["_target_"] = "gp_lab.objectives.penalties.Penalty"
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def test_a_run_of_before_is_read_and_goes_on_as_one_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *BARE, "penalty=none", "steps=4"]) == Exit.OK
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    before = Path(shutil.copytree(run, tmp_path / "before"))
    as_before(before)
    assert "carry" in (before / "config.yaml").read_text()
    assert RunFolder(before).config == RunFolder(run).config
    assert main(["sample", str(before), "-n", "4"]) == Exit.OK
    assert main(["resume", str(run), "steps=8"]) == Exit.OK
    assert main(["resume", str(before), "steps=8"]) == Exit.OK
    assert_same_run(RunFolder(before), RunFolder(run))
    config = yaml.safe_load((before / "config.yaml").read_text())
    config["penalty"]["wieght"] = 3
    (before / "config.yaml").write_text(yaml.safe_dump(config))
    capsys.readouterr()
    assert main(["resume", str(before), "steps=9"]) == Exit.BAD_INPUT
    assert "penalty.wieght: no such key" in capsys.readouterr().err


def test_an_rmsprop_run_of_before_its_accumulator_had_a_key_goes_on_as_one_that_starts_at_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wgan = ("optimizer=rmsprop", "penalty=none", "constraint=clipping")
    assert main(["train", *BARE, *wgan, "steps=4"]) == Exit.OK
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    before = Path(shutil.copytree(run, tmp_path / "before"))
    text = (before / "config.yaml").read_text()
    (before / "config.yaml").write_text(text.replace("  accumulator: 0.0\n", ""))
    assert "accumulator" in text
    assert "accumulator" not in (before / "config.yaml").read_text()
    assert RunFolder(before).config == RunFolder(run).config
    for folder in (run, before):
        assert main(["resume", str(folder), "steps=8"]) == Exit.OK
    assert_same_run(RunFolder(before), RunFolder(run))


def test_a_run_with_tensorflows_accumulator_stops_and_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wgan = ("optimizer=rmsprop", "penalty=none", "constraint=clipping")
    made = []
    for out, steps, v in (("stopped", 4, 1), ("whole", 8, 1), ("other", 8, 0)):
        own = [
            "log_every=1",
            f"optimizer.accumulator={v}",
            f"steps={steps}",
            f"out={tmp_path / out}",
        ]
        assert main(["train", *BARE, *wgan, *own]) == Exit.OK
        made.append(RunFolder(next((tmp_path / out / "runs").iterdir())))
    stopped, whole, other = made
    assert main(["resume", str(stopped.path), "steps=8"]) == Exit.OK
    assert_same_run(stopped, whole)
    with pytest.raises(AssertionError):
        assert_same_run(other, whole)


def test_a_key_counts_as_unread_only_where_its_part_does_not_read_it() -> None:
    for target, keys in UNREAD.items():
        assert not keys & set(inspect.signature(resolve(target)).parameters), target
    with hydra_session() as hydra:
        for words in (
            [], ["penalty=cross_pairs"], ["loss=least_squares", "optimizer=sgd"],
            ["optimizer=rmsprop", "optimizer.accumulator=1"],
        ):  # fmt: skip
            config = compose(hydra, words)
            assert modern(config) == config
        fixed, noisy = (compose(hydra, [f"architecture={n}"]) for n in ("fixed_line", "noisy_data"))
    assert modern(noisy) == noisy
    assert modern(fixed | {"architecture": {**fixed["architecture"], "latent_dim": 2}}) == fixed
