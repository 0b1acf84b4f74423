"""Whoever has told W&B to stay away is obeyed, until they take it back or a nearer word says so."""

from pathlib import Path

import pytest
from wandb_server import WandbServer
from where_runs_go import Opened, in_netrc, logged_in, said, wandb, went, written
from where_runs_go import config as config
from where_runs_go import opened as opened
from where_runs_go import server as server

from gp_lab.tracking.base import Mode


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"WANDB_MODE": "offline"}, "offline"),
        ({"WANDB_MODE": "dryrun"}, "offline"),
        ({"WANDB_MODE": "disabled"}, "disabled"),
        ({"WANDB_DISABLED": "true"}, "disabled"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, "disabled"),
        ({"WANDB_DISABLED": "false", "WANDB_MODE": "offline"}, "offline"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("mode", ["auto", "online"])
def test_a_variable_that_says_stay_away_is_obeyed_without_a_request(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: str,
    mode: Mode,
) -> None:
    logged_in(server, monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _, folder = opened(mode)
    assert went(folder) == expected
    assert server.requests == []


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("command", "expected"), [("offline", "offline"), ("disabled", "disabled")]
)
def test_wandb_offline_and_wandb_disabled_in_this_folder_are_obeyed(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    expected: str,
) -> None:
    wandb(command)
    logged_in(server, monkeypatch)
    _, folder = opened()
    assert went(folder) == command
    assert server.requests == []


@pytest.mark.seconds
@pytest.mark.parametrize(("command", "decides"), [("online", False), ("enabled", True)])
def test_wandb_online_and_wandb_enabled_undo_wandb_offline(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    decides: bool,
) -> None:
    wandb("offline")
    wandb(command)
    logged_in(server, monkeypatch)
    _, folder = opened()
    assert went(folder) == "online"
    # The first takes the setting away, the second says that it is to be online.
    assert ("HEAD /" in server.requests) == (not decides)


@pytest.mark.parametrize("place", ["home", "config_dir"])
def test_the_settings_of_the_whole_account_are_obeyed(
    server: WandbServer,
    opened: Opened,
    no_account: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    folder = no_account / ".config" / "wandb" if place == "home" else tmp_path / "settings"
    if place == "config_dir":
        monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder))
    written(folder / "settings", "mode = offline", f"base_url = {server.url}")
    in_netrc(no_account / ".netrc", server.address)
    _, run = opened()
    assert went(run) == "offline"
    assert server.requests == []


def test_of_two_settings_files_the_nearer_one_wins_and_a_variable_over_both(
    server: WandbServer, opened: Opened, no_account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(no_account / ".config/wandb/settings", "mode = online", f"base_url = {server.url}")
    written(no_account / "wandb" / "settings", "mode = offline")
    in_netrc(no_account / ".netrc", server.address)
    assert went(opened()[1]) == "offline"
    assert server.requests == []
    from gp_lab.tracking import wandb_inside

    wandb_inside.end_service()  # as in a process of its own
    monkeypatch.setenv("WANDB_MODE", "online")
    assert went(opened(name="again")[1]) == "online"


def test_tracking_mode_offline_wins_over_wandb_s_online(
    server: WandbServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    logged_in(server, monkeypatch)
    assert went(opened("offline")[1]) == "offline"
    assert server.requests == []


def test_tracking_mode_online_that_is_overruled_says_by_what(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("one", "two"):
        opened("online", name)
    assert said(caplog) == [
        "W&B: tracking.mode=online, but W&B's own settings (WANDB_MODE, `wandb offline`) say"
        " offline, which wins"
    ]
