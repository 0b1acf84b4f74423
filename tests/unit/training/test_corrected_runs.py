"""Runs with a correction of D's negatives: checked, resumed, stacked, and of one's own."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers import CLONE, built, names_in
from lab import BARE, assert_same_run, config_of
from torch import Tensor

from gp_lab.cli import main
from gp_lab.data.points import Points
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.compose import hydra_session, sweep_of
from gp_lab.objectives.corrections import (
    NoCorrection,
    PixelCombination,
    SampleCorrection,
    SampleCorrectionAndCombination,
)
from gp_lab.objectives.reality import Dif, SquareCount
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import Config, run_hash
from gp_lab.training.setup import setup
from gp_lab.training.trainer import train


def run_of(*overrides: str) -> Any:
    return setup(config_of(*overrides, base=BARE))


SQUARES = ("architecture=dcgan_cifar", "architecture.channels=1", "architecture.filters=2")
SMALL_SET = ("dataset=uniform_square", "dataset.size=20")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("correction=pcr", "batch_size=1"), "batch_size=1: correction.pairs=batch combines"),
        (("correction=pcr_and_or",), "correction.pairs=precomputed: dataset=eight_gaussians draws"),
        (("correction=pcr_and_or", "correction.operation=or"), "correction.operation=or: the comb"),
        (("correction=sc_count",), "correction.measure.square=8: counts squares"),
        (
            ("correction=sc_count", "dataset=rectangles_16", *SQUARES, "architecture.size=16"),
            "correction.measure.square=8: dataset=rectangles_16 has square=4; use",
        ),
        (
            ("correction=sc_count", "dataset=rectangles_pair", *SQUARES),
            "correction.measure.count=2: dataset=rectangles_pair has squares=3; use",
        ),
        (("correction=sc_dif", "dataset.size=null"), "correction.measure: .*no end"),
        (
            (
                *("correction=sc_dif", "dataset=mnist_5k", "dataset.size=32"),
                *("dataset.pixels=zero_one", "architecture=dcgan_mnist", "architecture.filters=2"),
            ),
            "dataset.pixels=zero_one: correction.measure is a share",
        ),
        (("correction=sc_dif", "dataset.size=5000"), "4096 at most, and .*has 5000"),
        (("correction=pcr", "loss=relativistic", "penalty=none"), "loss=relativistic is a loss of"),
        (
            ("correction=sc_dif", *SMALL_SET, "architecture=noisy_data", "g_steps=0"),
            "follow the re",
        ),
        (("correction=pcr", "correction.weight=1.5"), "correction.weight=1.5: must be at most 1"),
        (("correction=sc_dif", "correction.measure.threshold=0.0"), "threshold=0.0: must be gr"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        run_of(*overrides)


def test_every_file_makes_a_correction_that_says_what_it_is() -> None:
    squares = SquareCount(2, 8)
    assert {name: built("correction", name) for name in names_in("correction")} == {
        "none": NoCorrection(),
        "pcr": PixelCombination(),
        "pcr_and_or": PixelCombination(pairs="precomputed", operation="and_or"),
        "sc_count": SampleCorrection(measure=squares),
        "sc_count_replace": SampleCorrection(measure=squares, mode="replace"),
        "sc_dif": SampleCorrection(measure=Dif(0.1), mode="replace"),
        "sc_pcr": SampleCorrectionAndCombination(
            measure=squares, pairs="precomputed", operation="and_or"
        ),
    }


def test_a_run_that_is_older_than_corrections_has_the_hash_of_one_without() -> None:
    config = config_of(base=BARE)
    older = {k: v for k, v in config.items() if k != "correction"}
    assert run_hash(older) == run_hash(config)
    assert run_hash(config_of("correction=pcr", base=BARE)) != run_hash(config)


def test_a_run_goes_on_as_if_it_had_not_stopped_and_an_older_one_without_a_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        *BARE,
        *SMALL_SET,
        "log_every=1",
        "correction=sc_dif",
        "correction.measure.threshold=0.2",
    ]
    made = []
    for out, steps in (("stopped", 4), ("whole", 8)):
        assert main(["train", *words, f"steps={steps}", f"out={out}"]) == Exit.OK
        made.append(RunFolder(next((tmp_path / out / "runs").iterdir())))
    assert main(["resume", str(made[0].path), "steps=8"]) == Exit.OK
    assert_same_run(*made)
    assert "-sc_dif-" in made[0].path.name
    assert any(line["realistic"] > 0 for line in made[0].metrics())

    assert main(["train", *BARE, "steps=4", "out=older"]) == Exit.OK
    (run,) = (tmp_path / "older" / "runs").iterdir()
    before = Path(shutil.copytree(run, tmp_path / "before"))
    config = yaml.safe_load((before / "config.yaml").read_text())
    del config["correction"]
    (before / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for folder in (run, before):
        assert main(["resume", str(folder), "steps=8"]) == Exit.OK
    assert_same_run(RunFolder(before), RunFolder(run))
    assert "realistic" not in RunFolder(run).metrics()[-1]


@pytest.mark.seconds
def test_a_stack_on_sets_of_its_own_is_each_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(self: Points, rng: torch.Generator, n: int) -> Tensor:
        return self.draw(rng, n) + 1

    monkeypatch.setattr(Points, "combinations", shifted, raising=False)
    both = (
        "correction=sc_dif",
        "correction._target_=gp_lab.objectives.corrections.SampleCorrectionAndCombination",
        *("+correction.pairs=precomputed", "+correction.operation=and_or"),
        *("correction.measure.threshold=0.2", "batch_size=8", "precision=fp64", "compile=never"),
        *("steps=6", "log_every=1"),
    )

    def configs(out: str) -> list[Config]:
        own = [(s, w) for s in (0, 1) for w in (0.25, 0.5)]
        return [
            config_of(*SMALL_SET, *both, f"seed={s}", f"+correction.weight={w}",
                      f"out={tmp_path / out}", base=BARE)
            for s, w in own
        ]  # fmt: skip

    together = train(configs("together"), progress=False)
    apart = [train([config], progress=False)[0] for config in configs("apart")]
    for several, alone in zip(together, apart, strict=True):
        run, other = several.folder, alone.folder
        assert (run.status["stack"], other.status["stack"]) == (4, 1)
        for a, b in zip(run.metrics(), other.metrics(), strict=True):
            assert a == pytest.approx(b, rel=1e-9, abs=1e-9)
    shares = [line["realistic"] for result in apart for line in result.folder.metrics()]
    assert 0 < sum(shares) < len(shares)


README = CLONE / "gp_lab" / "objectives" / "README.md"
IMPORTS = """
from dataclasses import dataclass
from typing import Annotated

import torch

from gp_lab.fields import Fraction, Positive, Stackable
from gp_lab.objectives.corrections import Negatives, NoCorrection

"""


def test_a_correction_of_ones_own_joins_runs_and_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "class Jitter" in block]
    (tmp_path / "my_corrections.py").write_text(IMPORTS + block)
    (tmp_path / "mine" / "correction").mkdir(parents=True)
    file = "name: jitter\n_target_: my_corrections.Jitter\nweight: 0.5\nspread: 0.1\n"
    (tmp_path / "mine" / "correction" / "jitter.yaml").write_text(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["--config-dir=mine", "trust=[my_corrections]", "correction=jitter"]
    assert main(["train", *own, *BARE, "steps=2", "correction.spread=0.3"]) == Exit.OK
    with hydra_session(str(tmp_path / "mine")) as hydra:
        words = ["figure=zero_gp/fig2", "scale=smoke", "trust=[my_corrections]"]
        jobs = sweep_of(hydra, words, {"mine": ("correction=jitter",)}).jobs
    chosen = [job.config["correction"]["name"] for job in jobs]
    assert 0 < chosen.count("jitter") < len(chosen)
