"""Where a run goes: what W&B would do alone, asked of W&B itself, with a server that counts."""

from pathlib import Path

import pytest
from wandb_server import KEY, Behaviour, WandbServer
from where_runs_go import Opened, in_netrc, logged_in, said, wandb, went, written
from where_runs_go import config as config
from where_runs_go import opened as opened
from where_runs_go import server as server

from gp_lab.tracking.base import Tracker

OTHER = "0e1f" * 10


# -- those who go --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["online", "run", "shared"])
def test_wandb_mode_online_goes_there_without_asking_first(
    server: WandbServer, opened: Opened, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    logged_in(server, monkeypatch)
    _, folder = opened()
    assert went(folder) == "online"
    assert server.steps("run") == [0]
    assert "HEAD /" not in server.requests


def test_where_nobody_has_said_anything_the_server_is_asked_once_a_process(
    server: WandbServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(server, monkeypatch)
    for name in ("one", "two"):
        assert went(opened(name=name)[1]) == "online"
        assert server.steps(name) == [0]
    assert server.requests[0] == "HEAD /"
    assert server.requests.count("HEAD /") == 1


@pytest.mark.seconds
def test_a_server_of_ones_own_is_found_as_wandb_login_leaves_it(
    server: WandbServer, opened: Opened, no_account: Path
) -> None:
    wandb("login", "--host", server.url, "--no-verify", KEY)
    assert server.address in (no_account / ".netrc").read_text()  # with its port
    _, folder = opened()
    assert went(folder) == "online"
    assert server.steps("run") == [0]


@pytest.mark.parametrize("place", [".netrc", "_netrc", "NETRC", "settings"])
def test_a_key_is_found_wherever_wandb_finds_it(
    server: WandbServer,
    opened: Opened,
    no_account: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    key = [f"api_key = {KEY}"] if place == "settings" else []
    written(no_account / "wandb" / "settings", f"base_url = {server.url}", *key)
    if place == "NETRC":
        monkeypatch.setenv("NETRC", str(no_account / "elsewhere"))
    if place != "settings":
        in_netrc(no_account / ("elsewhere" if place == "NETRC" else place), server.address)
    _, folder = opened()
    assert went(folder) == "online"
    assert server.steps("run") == [0]


def test_the_project_and_the_entity_are_wandb_s_own_unless_the_lab_is_told(
    server: WandbServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(server, monkeypatch)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_ENTITY", "ours")
    opened(name="theirs")
    opened(name="told", project="another")
    said = {name: (run["project"], run["entity"]) for name, run in server.runs.items()}
    assert said == {"theirs": ("mine", "ours"), "told": ("another", "ours")}


def test_without_any_project_it_is_the_labs(
    server: WandbServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(server, monkeypatch)
    opened()
    assert server.runs["run"]["project"] == "gp_lab"


# -- without a key -------------------------------------------------------------------------


def test_without_a_key_nobody_is_asked_and_the_run_is_offline(
    server: WandbServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    assert went(opened()[1]) == "offline"
    assert server.requests == []


@pytest.mark.parametrize("machine", ["127.0.0.1", "127.0.0.1:9", "api.wandb.ai"])
def test_the_key_of_another_server_is_no_key(
    server: WandbServer,
    opened: Opened,
    no_account: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    in_netrc(no_account / ".netrc", machine, OTHER)
    assert went(opened()[1]) == "offline"
    assert server.requests == []


@pytest.mark.parametrize("how", ["variable", "flag"])
def test_online_without_a_key_is_offline_and_says_so_instead_of_asking(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    if how == "variable":
        monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    assert went(opened("auto" if how == "variable" else "online")[1]) == "offline"
    (sentence,) = said(caplog)
    assert sentence == f"W&B: no key for {server.url}, see wandb login; runs are written offline"


def test_a_key_that_is_none_is_said_without_showing_it(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "short-secret")
    assert went(opened()[1]) == "offline"
    (sentence,) = said(caplog)
    assert sentence.startswith("W&B: WANDB_API_KEY invalid: ")
    assert "secret" not in sentence
    assert server.requests == []


# -- settings that are refused -------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("WANDB_MODE", "off", "W&B is left out: mode=off: Input should be 'online', 'offline'"),
        ("WANDB_BASE_URL", "nonsense", "W&B is left out: base_url=nonsense: "),
        ("WANDB_BASE_URL", "http://host:port", "W&B is left out: base_url=http://host:port: "),
    ],
)
def test_what_wandb_itself_refuses_leaves_it_out_of_all_runs_and_is_said_once(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    value: str,
    sentence: str,
) -> None:
    logged_in(server, monkeypatch)
    monkeypatch.setenv(variable, value)
    for name in ("one", "two"):
        tracker, folder = opened(name=name)
        assert type(tracker) is Tracker
        assert went(folder) == "disabled"
    assert len(said(caplog)) == 1
    assert said(caplog)[0].startswith(sentence)
    assert server.requests == []


# -- servers that fail ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("refuses", "Connection refused"),
        ("hangs", "no answer within"),
        ("error", "it answers with status 500"),
        ("closes", "Remote end closed connection without response"),
    ],
)
def test_a_server_that_does_not_answer_is_asked_once_and_said_once(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    behaviour: Behaviour,
    why: str,
) -> None:
    logged_in(server, monkeypatch)
    server.behave(behaviour)
    for name in ("one", "two"):
        assert went(opened(name=name)[1]) == "offline"
    assert server.requests == ([] if behaviour == "refuses" else ["HEAD /"])
    (sentence,) = said(caplog)
    assert sentence.startswith(f"W&B: {server.url} cannot be reached ({why}")
    assert sentence.endswith("; runs are written offline")
    assert KEY not in sentence


def test_a_server_that_answers_but_lets_no_run_begin_is_waited_for_once(
    server: WandbServer,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logged_in(server, monkeypatch)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")  # W&B's own setting, not the lab's half minute
    server.behave("trickles")
    for name in ("one", "two"):
        assert went(opened(name=name)[1]) == "offline"
    asked = len(server.requests)
    (sentence,) = said(caplog)
    assert sentence.endswith("; runs are written offline")
    assert went(opened(name="three")[1]) == "offline"
    assert len(server.requests) == asked
