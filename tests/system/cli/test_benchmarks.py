"""scripts/bench.py and scripts/gpu_check.py: each part runs, tiny, on the CPU; nothing is timed."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import CLONE
from torch import nn

SCRIPTS = CLONE / "scripts"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("PYTHONPATH", "")  # the check sets it for its parts


def script(name: str) -> Any:
    return importlib.import_module(name)


# The table


def test_every_part_of_the_benchmarks_can_be_called_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = script("bench")
    assert {"step", "replicas", "data", "scaling", "checkpoint"} <= set(bench.PARTS)
    for part in bench.PARTS:
        with pytest.raises(SystemExit, match="0"):
            bench.main([part, "--help"])
    assert bench.main(["steps"]) == 2
    assert "steps: no such part; choose from checkpoint," in capsys.readouterr().err
    assert bench.main(["step", "data", "--quick"]) == 2
    assert bench.main(["--help"]) == 0


@pytest.mark.seconds
def test_the_table_has_a_row_for_each_loop_and_keeps_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench" / "step.json"
    assert script("bench").main(["--quick", "--json", str(path)]) == 0
    kept = json.loads(path.read_text())
    cases = kept["cases"]
    assert {case["against"] for case in cases.values()} == {
        "textbook",
        "wgan-gp toy",
        "GAN_stability",
    }
    rows = capsys.readouterr().out.splitlines()[-len(cases) :]
    assert [row.split()[0] for row in rows] == list(cases)
    for case in cases.values():
        assert case["engine"] == "eager (compile=never)"
        assert case["flops"] > 0
        assert all(rate > 0 for side in case["rates"].values() for rate in side)
    costs = cases["mlp_64"]["costs"]
    assert all(costs[side]["peak"] > 2**25 for side in ("lab", "other"))
    assert kept["machine"]["torch"] == torch.__version__


@pytest.mark.slow
def test_the_other_parts_measure_tiny_runs(tmp_path: Path) -> None:
    bench = script("bench")
    for words in (
        ["replicas", "--sizes", "64", "--pairs", "1", "--rates-alone"],
        ["checkpoint", "--pairs", "1", "--step-seconds", "1"],
        ["scaling", "--networks", "resnet_cifar"],
        ["rectangles", "--pairs", "1"],
        ["data", "--blocks", "1", "--repeats", "1", "--cases", "mapped"],
    ):
        assert bench.main(words) == 0


def test_operations_are_those_of_the_products_forward_and_back() -> None:
    net, x = nn.Linear(7, 5, bias=False), torch.ones(3, 7, requires_grad=True)

    def both() -> None:
        net(x).sum().backward()

    assert script("bench_tools").flops(both) == 3 * 2 * 3 * 7 * 5


def test_a_rate_is_of_the_iterations_that_a_longer_run_has_more() -> None:
    now = 0.0

    def clock() -> float:
        return now

    def side(iterations: int) -> None:
        nonlocal now
        now += 5.0 + iterations / 4  # what happens once, and what each costs

    tools = script("bench_tools")
    assert tools.rate(side, 40, clock) == pytest.approx(4.0)
    found = tools.interleaved({"a": (side, 40), "b": (side, 20)}, 2, clock)
    assert found == {"a": pytest.approx([4.0, 4.0]), "b": pytest.approx([4.0, 4.0])}


@pytest.mark.parametrize("name", ["textbook", "wgan-gp toy", "GAN_stability"])
def test_a_loop_trains_copies_and_its_discriminator_learns(name: str, tmp_path: Path) -> None:
    from gp_lab.launching.compose import hydra_session
    from gp_lab.training.setup import setup

    tools, loops = script("bench_tools"), script("bench_textbook")
    words = [*tools.PLANE, "architecture.width=8", "batch_size=16", "optimizer.lr=0.01"]
    with hydra_session() as hydra:
        run = setup(tools.configured(hydra, words, tmp_path))
    before = {k: p.clone() for k, p in run.game.discriminator.named_parameters()}
    kept: list[nn.Module] = []
    grown = loops._grown
    loops._grown = lambda net, on: kept.append(net) or grown(net, on)
    try:
        loops.LOOPS[name](run, 3)
    finally:
        loops._grown = grown
    D = next(net for net in kept if [*net.state_dict()] == [*before])
    assert all(torch.equal(p, before[k]) for k, p in run.game.discriminator.named_parameters())
    assert all(not torch.equal(p, before[k]) for k, p in D.named_parameters() if p.dim() > 1)


# What needs a GPU, tried without one


@pytest.mark.seconds
@pytest.mark.parametrize("part", ["rates", "compiled", "replicas"])
def test_a_part_of_the_gpu_check_leaves_its_numbers(part: str, tmp_path: Path) -> None:
    check = script("gpu_check")
    check.one_part(part, check.Where(tmp_path, "cpu", True))
    found = json.loads((tmp_path / f"{part}.json").read_text())
    assert (found["part"], found["failed"], found["tiny"]) == (part, [], True)
    assert found[{"rates": "flops", "compiled": "apart", "replicas": "records"}[part]]


def fake(check: Any, monkeypatch: pytest.MonkeyPatch, results: dict[str, Any]) -> list[str]:
    """Parts that have these results; which of them are done, as they are."""
    done: list[str] = []

    def attempt(name: str, where: Any, limit: float) -> Any:
        done.append(name)
        check.write(where.out / f"{name}.json", {"device": "cpu", "tiny": True} | results[name])
        return results[name]

    monkeypatch.setattr(check, "attempt", attempt)
    monkeypatch.setattr(check, "PARTS", dict.fromkeys(results, (60, None)))
    return done


def test_the_gpu_check_says_what_failed_and_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = script("gpu_check")
    results: dict[str, Any] = {"a": {"failed": []}, "b": {"failed": ["2 % (wanted: 35 %)"]}}
    done = fake(check, monkeypatch, results)
    words = ["--dry-run", "--out", str(tmp_path)]
    assert check.main(words) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "failed: b: 2 % (wanted: 35 %)"
    results["b"] = {"failed": []}
    assert check.main(words) == 0
    assert done == ["a", "b", "b"]
    assert capsys.readouterr().out.splitlines()[-1] == "nothing failed"
    (tmp_path / "a.json").write_text("{")
    assert check.main([*words, "--total", "1"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "left: a; the same command goes on"


@pytest.mark.seconds
def test_a_part_over_its_budget_or_that_breaks_is_said_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = script("gpu_check")
    where = check.Where(tmp_path, "cpu", True)
    assert check.attempt("rates", where, 0.05)["failed"] == ["not done in 0 s"]
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert check.attempt("rates", where, 60)["failed"][0].startswith("no output")
    assert check.read(tmp_path / "rates.json")["failed"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_check_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert script("gpu_check").main([]) == 2
    assert "no GPU is available here; --dry-run" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_dry_run_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = script("gpu_check")
    assert check.main(["--dry-run", "--out", str(tmp_path), "--total", "3000"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing failed"
    assert (tmp_path / "figure.png").stat().st_size > 1000
