"""What a run is called and found by: the config's words before W&B's own before the lab's."""

import pytest
from offline_runs import run_of
from where_runs_go import Opened
from where_runs_go import config as config
from where_runs_go import opened as opened

from gp_lab.runs.identity import Config, setting_id

VARIABLES = {
    "WANDB_MODE": "offline",
    "WANDB_PROJECT": "their_project",
    "WANDB_ENTITY": "their_team",
    "WANDB_RUN_GROUP": "their group",
    "WANDB_TAGS": "one,two",
    "WANDB_NAME": "their name",
    "WANDB_NOTES": "their notes",
}
NAMES = ("project", "entity", "run_group", "tags", "display_name", "notes")


def named(opened: Opened, **more: object) -> tuple[object, ...]:
    _, folder = opened(said=more)
    run = run_of(folder)
    return tuple(run.get(name) for name in NAMES)


def test_where_nobody_has_said_anything_the_lab_names_a_run(opened: Opened, config: Config) -> None:
    tags = ["eight_gaussians", "wasserstein", "one_gp"]
    assert named(opened) == ("gp_lab", None, setting_id(config), tags, "run", None)


def test_wandb_s_own_variables_name_a_run(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    theirs = ("their_project", "their_team", "their group", ["one", "two"], "their name")
    assert named(opened) == (*theirs, "their notes")


def test_the_config_s_own_words_win_over_the_variables(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    more = {
        "project": "p",
        "entity": "e",
        "group": "g",
        "tags": ("t",),
        "run_name": "n",
        "notes": "x",
    }
    assert named(opened, **more) == ("p", "e", "g", ["t"], "n", "x")


def test_tags_that_a_server_would_refuse_are_cut(
    opened: Opened, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(config, "panel", "a panel of many words, " * 9)
    assert max(map(len, named(opened)[3])) == 64  # type: ignore[call-overload]
