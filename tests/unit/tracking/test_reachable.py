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


def test_the_first_line_of_an_answer_is_one_whatever_it_says(server: WandbServer) -> None:
    assert silence(server.url, {}) == ""
    server.behave("trickles")
    assert silence(server.url, {}) == ""
    server.behave("error")
    assert silence(server.url, {}) == "it answers with status 500"


def test_a_server_whose_certificate_is_not_known_here_is_one() -> None:
    """What the client makes of it is for W&B's settings to say; here it does not even speak TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert silence(f"https://127.0.0.1:{server.getsockname()[1]}", {}) == ""
        thread.join()


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
