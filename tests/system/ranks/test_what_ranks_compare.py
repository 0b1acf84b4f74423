"""What ranks compare before they begin: runs, code and versions; the first difference is named."""

import json
import threading
from pathlib import Path

import pytest
import torch
from lab import config_of

from gp_lab.errors import Exit, LabError
from gp_lab.training import consistency
from gp_lab.training.consistency import About, SharedEnd, about
from gp_lab.training.heartbeat import Failure, Watch, gone, nothing


def agreed(*said: About) -> list[BaseException | None]:
    """What comes of ranks that say this, each in a thread."""
    store = torch.distributed.HashStore()
    ends: list[BaseException | None] = [None] * len(said)

    def one(rank: int) -> None:
        own = Watch(store, rank, len(said))
        own.begin(nothing)
        try:
            own.agree(said[rank])
        except LabError as error:
            ends[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(said))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def of(*overrides: str) -> About:
    return about([config_of(*overrides)], "gloo")


DIFFERENT = [
    ("seed=1", "rank 1 has seed=1, rank 0 seed=0"),
    ("steps=20", "rank 1 has steps=20, rank 0 steps=5000"),
    ("batch_size=8", "rank 1 has batch_size=8, rank 0 batch_size=16"),
    ("log_every=7", "rank 1 has log_every=7, rank 0 log_every=100"),
    ("checkpoint_every=7", "rank 1 has checkpoint_every=7, rank 0 checkpoint_every=1000"),
    ("architecture.width=16", "rank 1 has architecture.width=16, rank 0 architecture.width=8"),
    ("penalty=none", "rank 1 has penalty=none, rank 0 penalty=one_gp"),
    ("penalty.weight=1", "rank 1 has penalty.weight=1, rank 0 penalty.weight=10"),
    ("probe=[surface,samples,loss]", "rank 1 has probe.loss._target_=gp_lab.probes.samples.Loss"),
    ("probe.samples.every=5", "rank 1 has probe.samples.every=5, rank 0 probe.samples.every=0"),
    ("precision=fp64", "rank 1 has precision=fp64, rank 0 precision=fp32"),
    ("compile=always", "rank 1 has compile=always, rank 0 compile=auto"),
    ("batch_norm=local", "rank 1 has batch_norm=local, rank 0 batch_norm=synchronised"),
    ("force=true", "rank 1 has force=true, rank 0 force=false"),
    ("out=elsewhere", "rank 1 has out=elsewhere, rank 0 out=outputs"),
]


@pytest.mark.parametrize(("override", "says"), DIFFERENT, ids=lambda value: value.split()[0])
def test_the_first_key_in_which_a_rank_differs_is_named_with_both_values(
    override: str, says: str
) -> None:
    ends = agreed(of(), of(override))
    assert [str(end) for end in ends] == [str(ends[0])] * 2  # the same words on both
    assert str(ends[0]).startswith(says)
    assert str(ends[0]).endswith("give all ranks the same command")
    assert {end.status for end in ends if isinstance(end, SharedEnd)} == {Exit.BAD_INPUT}


@pytest.mark.parametrize(
    "override", ["tracking=wandb", "threads=3", "device=auto", "panel=x", "probe.samples.every=0"]
)
def test_what_only_rank_0_does_or_each_does_for_itself_may_differ(override: str) -> None:
    assert agreed(of(), of(override), of()) == [None] * 3


def test_where_published_data_lie_may_differ() -> None:
    base = ("tracking=none", "dataset=cifar10")
    configs = [config_of(f"dataset.root={root}", base=base) for root in ("here", "there")]
    assert agreed(*(about([config], "gloo") for config in configs)) == [None] * 2


def test_the_third_of_four_ranks_is_named() -> None:
    ends = agreed(of(), of(), of("seed=3"), of("seed=3"))
    assert {str(end).partition(":")[0] for end in ends} == {"rank 2 has seed=3, rank 0 seed=0"}


def test_runs_of_a_sweep_are_compared_one_by_one() -> None:
    configs = [config_of(f"seed={seed}") for seed in range(3)]
    other = [*configs[:2], config_of("seed=2", "steps=5")]
    ends = agreed(about(configs, "gloo"), about(other, "gloo"))
    assert "rank 1 has steps=5, rank 0 steps=5000 in run 3 of 3" in str(ends[0])
    for fewer in (configs[:2], []):
        ends = agreed(about(configs, "gloo"), about(fewer, "gloo"))
        assert f"rank 1 has {len(fewer)} runs to train, rank 0 3" in str(ends[0])


def test_versions_and_code_come_before_what_follows_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero = of()
    older = zero | {"versions": zero["versions"] | {"torch": "1.0"}, "runs": []}
    (end, _) = agreed(zero, older)
    assert isinstance(end, SharedEnd)
    assert end.status == Exit.FAILED
    assert str(end).startswith("rank 1 has torch 1.0, rank 0 torch ")
    edited = zero | {"code": zero["code"] | {"gp_lab/training/step.py": "0"}, "runs": []}
    (end, _) = agreed(zero, edited)
    assert isinstance(end, SharedEnd)
    assert end.status == Exit.FAILED
    assert "rank 1 has another gp_lab/training/step.py than rank 0" in str(end)


def test_the_code_of_a_trusted_package_is_compared_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "mine" / "loss.py").write_text("a = 1\n")
    (tmp_path / "single.py").write_text("b = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = config_of("trust=[mine,single,not_there]")
    before = about([config], "gloo")
    assert {"mine/loss.py", "mine/__init__.py", "single.py"} < before["code"].keys()
    assert "gp_lab/training/consistency.py" in before["code"]
    consistency._code.cache_clear()
    (tmp_path / "mine" / "loss.py").write_text("a = 2\n")
    after = about([config], "gloo")
    assert "rank 1 has another mine/loss.py than rank 0" in str(agreed(before, after)[0])
    consistency._code.cache_clear()


def test_ranks_that_would_not_sum_alike_say_which_differs() -> None:
    config = config_of()
    said = [about([config], transport) for transport in ("gloo", "gloo", "cpu:gloo,cuda:nccl")]
    for end in agreed(*said):
        assert isinstance(end, SharedEnd)
        assert end.status == Exit.FAILED
        assert "rank 2 would sum by cpu:gloo,cuda:nccl and rank 0 by gloo" in str(end)


@pytest.mark.parametrize(
    ("word", "failure", "says"),
    [
        (gone(1), Failure("penalty=x: no such choice", status=Exit.BAD_INPUT), "rank 1: penalty=x"),
        (gone(1), Failure("it has ended", status=Exit.FAILED), "rank 1: it has ended"),
        ("1/failure", Failure("rank 2: no disk", status=Exit.FAILED), "rank 2: no disk"),
    ],
)
def test_a_rank_that_has_ended_is_not_waited_for(word: str, failure: Failure, says: str) -> None:
    store = torch.distributed.HashStore()
    store.set(word, json.dumps(failure))
    own = Watch(store, 0, 3)
    own.begin(nothing)
    with pytest.raises(SharedEnd, match=says) as raised:
        own.agree(of())
    assert raised.value.status == failure.status
