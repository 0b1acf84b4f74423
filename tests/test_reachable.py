"""Whether a server answers: one short request, whatever its name, its proxy or itself does."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import PATIENCE
from wandb_server import WandbServer, serving

from gp_lab.tracking import reachable
from gp_lab.tracking.reachable import silence

pytestmark = pytest.mark.usefixtures("no_account")


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as server:
        yield server


def test_a_name_that_is_looked_up_for_ever_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def never(*_: object, **__: object) -> None:
        over.wait(PATIENCE)
        raise OSError("over")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(reachable, "SECONDS", 0.2)
    assert silence("http://wandb.example", {}) == "no answer within 0.2 seconds"
    over.set()


def test_any_answer_shows_a_server_and_a_certificate_that_is_not_known_here_too(
    server: WandbServer,
) -> None:
    assert silence(server.url, {}) == ""
    assert "SSL" not in silence(server.url.replace("http:", "https:"), {})
    server.behave("trickles")  # its first line is an answer
    assert silence(server.url, {}) == ""


@pytest.mark.parametrize("how", ["variable", "setting"])
def test_a_server_behind_a_proxy_is_asked_through_it(
    server: WandbServer, no_account: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    hidden = "http://wandb.invalid"
    assert silence(hidden, {}) != ""
    if how == "variable":
        monkeypatch.setenv("http_proxy", server.url)
    assert silence(hidden, {"http": server.url} if how == "setting" else {}) == ""
    assert server.requests == ["HEAD http://wandb.invalid"]
