"""Which runs of a sweep are trained together."""

from pathlib import Path

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.launching.local import groups
from gp_lab.runs.folder import RunFolder, State, find_runs
from gp_lab.runs.identity import Config, folder_of, run_id


def sweep(out: Path, seeds: range) -> list[Config]:
    with hydra_session() as hydra:
        return [compose(hydra, [f"out={out}", f"seed={s}", f"penalty={p}"])
                for p in ("one_gp", "none") for s in seeds]  # fmt: skip


def seeds_of(stacks: list[list[Config]]) -> list[list[int]]:
    return [[config["seed"] for config in stack] for stack in stacks]


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


def test_an_override_of_a_figure_may_name_a_key_that_only_its_panels_have(tmp_path: Path) -> None:
    command = ["figure", "zero_gp/fig1", "scale=smoke", "steps=1", "probe.held_out.count=30"]
    assert main([*command, "tracking=none", f"out={tmp_path}"]) == Exit.OK
    runs = list(find_runs(tmp_path / "runs"))
    assert len(runs) == 8
    assert {len(run.arrays("held_out")["held_out_real"]) for run in runs} == {30}
