"""Which runs of a sweep are trained together."""

import os
from pathlib import Path

import pytest
from lab import config_of

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.launching.local import evened, groups, train_all
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, folder_of, run_hash, run_id


def sweep(out: Path, seeds: range) -> list[Config]:
    with hydra_session() as hydra:
        return [compose(hydra, [f"out={out}", f"seed={s}", f"penalty={p}"])
                for p in ("one_gp", "none") for s in seeds]  # fmt: skip


def seeds_of(stacks: list[list[Config]]) -> list[list[int]]:
    return [[config["seed"] for config in stack] for stack in stacks]


@pytest.mark.seconds
def test_runs_that_differ_only_in_seed_form_stacks_of_at_most_the_size_asked_for(
    tmp_path: Path,
) -> None:
    configs = sweep(tmp_path, range(5))
    assert seeds_of(groups(configs, 64)) == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert seeds_of(groups(configs, 3)) == [[0, 1, 2], [3, 4], [0, 1, 2], [3, 4]]
    assert all(len(stack) == 1 for stack in groups(configs, 1))


def test_a_killed_stack_goes_on_together_and_a_run_begun_alone_goes_on_alone(
    tmp_path: Path,
) -> None:
    configs = sweep(tmp_path, range(4))[:4]
    for config in configs[:3]:
        folder = RunFolder(folder_of(config))
        folder.create(config, run_id(config))
        together = run_id(configs[0]) if config["seed"] < 2 else None
        folder.set_status(State.RUNNING, stack_id=together)
    assert seeds_of(groups(configs, 64)) == [[0, 1], [2], [3]]


@pytest.mark.parametrize(
    ("sizes", "workers", "wanted"),
    [
        ([10, 10, 10], 2, [10, 10, 5, 5]),
        ([10, 10], 2, [10, 10]),
        ([10, 10, 10], 1, [10, 10, 10]),
        ([10, 10, 10, 10, 10], 3, [10, 10, 10, 3, 3, 4, 3, 3, 4]),
        ([1, 1, 1], 2, [1, 1, 1]),
        ([2] * 15, 16, [2] * 15),  # thirty runs alone would take sixteen workers as long
    ],
)
def test_the_last_stacks_are_divided_where_a_worker_would_have_nothing_to_do(
    sizes: list[int], workers: int, wanted: list[int], tmp_path: Path
) -> None:
    [config, *_] = sweep(tmp_path, range(1))
    seeds = iter(range(sum(sizes)))
    batches = [[config | {"seed": next(seeds)} for _ in range(size)] for size in sizes]
    found = evened(batches, workers)
    assert [len(batch) for batch in found] == wanted
    assert [seed for batch in seeds_of(found) for seed in batch] == [*range(sum(sizes))]


def test_a_stack_that_has_begun_is_not_divided(tmp_path: Path) -> None:
    one_gp, none = sweep(tmp_path, range(4))[:4], sweep(tmp_path, range(4))[4:]
    assert [len(batch) for batch in evened([none, one_gp, none], 2)] == [4, 4, 2, 2]
    folder = RunFolder(folder_of(none[3]))
    folder.create(none[3], run_id(none[3]))
    folder.set_status(State.RUNNING, stack_id=run_id(none[0]))
    assert [len(batch) for batch in evened([one_gp, one_gp, none], 2)] == [4, 4, 4]


@pytest.mark.seconds
def test_an_override_of_a_figure_may_name_a_key_that_only_its_panels_have(tmp_path: Path) -> None:
    command = ["figure", "zero_gp/fig1", "scale=smoke", "steps=1", "probe.held_out.count=30"]
    assert main([*command, "tracking=none", f"out={tmp_path}"]) == Exit.OK
    runs = list(find_runs(tmp_path / "runs"))
    assert len(runs) == 8
    assert {len(run.arrays("held_out")["held_out_real"]) for run in runs} == {30}


@pytest.mark.seconds
def test_a_figure_says_which_runs_it_would_train_and_trains_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["scale=smoke", f"out={tmp_path}", "seed=0,1"]
    with hydra_session() as hydra:
        wanted = sweep_of(hydra, ["figure=zero_gp/fig1", *arguments]).jobs
    done = next(job.config for job in wanted if job.panel == "one_gp-probability-100")
    folder = RunFolder(folder_of(done))
    folder.create(done, run_id(done))
    folder.set_status(State.FINISHED, step=done["steps"])
    assert main(["figure", "zero_gp/fig1", *arguments, "--cfg", "job"]) == Exit.OK
    said = capsys.readouterr().out
    assert said.startswith("zero_gp/fig1 at scale smoke: 16 runs\n")
    assert "  one_gp-probability-100          seed=0,1  1 of 2 finished  penalty=one_gp" in said
    assert said.count("0 of 2 finished") == 7
    assert [run.path for run in find_runs(tmp_path)] == [folder.path]


def test_an_entry_without_runs_says_what_it_would_work_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["figure", "mu_wgan/lemma1", "--cfg", "job", "figure.settings.rhos=[2]"]) == Exit.OK
    said = capsys.readouterr().out
    assert said.startswith("mu_wgan/lemma1 at scale miniature: calculated, no runs")
    assert "figure.settings.rhos=[2]" in said


def test_the_folder_of_runs_is_listed_once_for_a_sweep_however_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs under names of their own cannot be found without a listing; one serves for all."""
    configs = [config_of("steps=3", f"seed={seed}", f"out={tmp_path}") for seed in range(30)]
    for config in configs:
        folder = RunFolder(tmp_path / "runs" / f"mine-{run_hash(config)}")
        folder.create(config, run_id(config))
        folder.set_status(State.FINISHED, step=3)
    listed: list[Path] = []
    real = os.listdir

    def counted(path: Path) -> list[str]:
        listed.extend([path] * (Path(path) == tmp_path / "runs"))
        return real(path)

    monkeypatch.setattr(os, "listdir", counted)
    ends = train_all(configs)
    assert all(end.before and end.folder.path.name.startswith("mine-") for end in ends)
    assert len(listed) == 1


def test_a_run_that_was_renamed_after_the_listing_is_found(tmp_path: Path) -> None:
    config = config_of("steps=3", f"out={tmp_path}")
    folder = folder_of(config)
    folder.mkdir(parents=True)
    assert folder_of(config) == folder
    moved = folder.rename(folder.with_name(f"mine-{run_hash(config)}"))
    assert folder_of(config) == moved
    moved.rename(folder)
    assert folder_of(config) == folder
    (folder.parent / f".deleted-{folder.name}").mkdir()
    folder.rmdir()
    assert folder_of(config) == folder  # what is being deleted is not taken for it
