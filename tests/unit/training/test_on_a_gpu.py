"""A run on a GPU is the run: the CPU's numbers, compiled and as CUDA graphs, on one and on two.

GP_LAB_TEST_DEVICE=cpu tries the tests themselves where there is no GPU.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from games import GAMES, on_device
from helpers import CLONE, same
from iterations import iterate, started
from lab import free_port, trained
from torch.nn.functional import conv2d
from torch.utils._pytree import tree_map

from gp_lab.runs.folder import RunFolder
from gp_lab.training.engine import Compiled, Engine, make_engine
from gp_lab.training.setup import products_in
from gp_lab.training.step import Game

pytestmark = [pytest.mark.gpu, pytest.mark.seconds]
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
DEVICE = torch.device(os.environ.get("GP_LAB_TEST_DEVICE", "cuda"))
GPU = DEVICE.type == "cuda"
SMALL = (
    "architecture=mlp_tanh_64", "architecture.width=16", "batch_size=16", "probe=[]", "d_steps=2",
    "tracking=none", "log_every=1", f"device={DEVICE}",
)  # fmt: skip
IMAGES = (
    "dataset=rectangles_16", "architecture=dcgan_cifar", "architecture.size=16", "penalty=one_gp",
    "architecture.channels=1", "architecture.filters=4",
    "batch_size=8", "probe=[]", "tracking=none", "log_every=1", f"device={DEVICE}",
)  # fmt: skip


def on_gpu(game: Game, engine: str, how: Compiled = "") -> Engine:
    made = make_engine(on_device(game, DEVICE), engine, how=how)

    def moved(update: Any) -> Any:
        return lambda *given: update(*tree_map(lambda x: x.to(DEVICE), given))

    return Engine("", "", 1, moved(made.discriminator_step), moved(made.generator_step))


def steps(game: Game, engine: Engine, count: int = 20) -> dict[str, Any]:
    state, metrics = started(game), []
    for step in range(count):
        state, of_step = iterate(engine, state, {}, step, [0])
        metrics.append(of_step.cpu())
    return tree_map(lambda x: x.cpu(), {"state": state, "metrics": torch.stack(metrics)})


@pytest.mark.parametrize("name", list(GAMES))
def test_eager_steps_in_float64_are_those_of_the_cpu(name: str) -> None:
    game = GAMES[name]
    same(steps(game, on_gpu(game, "eager")), steps(game, make_engine(game, "eager")))


@pytest.mark.parametrize("name", ["wgan_gp", "zero_gp", "max_gp"])
def test_compiled_steps_and_graphs_of_them_in_float64_are_the_eager_ones(name: str) -> None:
    game = GAMES[name]
    expected = steps(game, on_gpu(game, "eager"))
    same(steps(game, on_gpu(game, "compiled")), expected)
    if GPU:
        same(steps(game, on_gpu(game, "compiled", "graphs")), expected)


def test_float32_is_not_tf32_unless_it_is_asked_for() -> None:
    x, w = torch.randn(8, 64, 16, 16, device=DEVICE), torch.randn(64, 64, 3, 3, device=DEVICE)
    exact, errors = conv2d(x.double(), w.double()), {}
    for precision in ("tf32", "fp32"):
        products_in(precision)
        errors[precision] = ((conv2d(x, w) - exact).abs().max() / exact.abs().max()).item()
    assert errors["fp32"] < 1e-5
    if GPU and torch.cuda.get_device_capability() >= (8, 0):
        assert errors["tf32"] > 10 * errors["fp32"]


@pytest.mark.parametrize("how", ["never", "graphs"])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(how: str, tmp_path: Path) -> None:
    words = (f"compile={how}", "checkpoint_every=3")
    whole = trained(*words, "steps=9", f"out={tmp_path / 'whole'}", base=SMALL)
    for last in (5, 9):
        parts = trained(*words, f"steps={last}", f"out={tmp_path / 'parts'}", base=SMALL)
    assert len(whole.metrics()) == 9
    assert whole.metrics() == parts.metrics()
    assert whole.status["engine"] == ("compiled" if how == "graphs" else "eager")
    if GPU and how == "graphs":
        assert whole.status["engine_reason"] == "compile=graphs"


@pytest.mark.parametrize("precision", ["bf16", "tf32", "fp32"])
def test_images_are_trained_on_in_each_precision(precision: str, tmp_path: Path) -> None:
    words = (f"precision={precision}", "steps=6", "compile=never", f"out={tmp_path}")
    run = trained(*words, base=IMAGES)
    exact = trained(*words[1:], "precision=fp64", base=IMAGES)
    assert run.status["state"] == "finished"
    first, expected = run.metrics()[0], exact.metrics()[0]
    tolerance = {"bf16": 5e-2, "tf32": 1e-2, "fp32": 1e-4}[precision]
    assert first["penalty"] == pytest.approx(expected["penalty"], rel=tolerance)


@two_gpus
def test_two_ranks_over_nccl_are_one(tmp_path: Path) -> None:
    words = ("precision=fp64", "steps=20", "compile=never")
    alone = trained(*words, f"out={tmp_path / 'one'}", base=SMALL)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += [f"--master-port={free_port()}", "-m", "gp_lab", "train", *SMALL, *words]
    subprocess.run([*command, f"out={tmp_path / 'two'}"], check=True, cwd=CLONE)
    (path,) = (tmp_path / "two" / "runs").iterdir()
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for one, two in zip(alone.metrics(), lines, strict=True):
        assert two == pytest.approx(one, rel=1e-9, abs=1e-9)
    assert RunFolder(path).status["ranks"] == 2
