"""`gp-lab report --watch`: built again when something moved, and served to this machine alone."""

import http.client
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import NoReturn

import numpy as np
import pytest
from compared import Make
from compared import make as make
from lab import PATIENCE, lab_command
from report_page import Page

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.report import watch as module
from gp_lab.report.watch import Build, Server, Watched, watch

LINE = [{"step": 10, "loss_d": 1.0}]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(0) as running:
        running.build = Build("one", b"<p>page</p>")
        Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def asked(
    address: str, path: str = "/", method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    where = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(where, timeout=PATIENCE)
    connection.request(method, path, headers={"Host": where if host is None else host})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


# -- the server ----------------------------------------------------------------------------


def test_the_page_is_served_with_a_name_of_its_build(server: Server) -> None:
    status, headers, body = asked(server.address)
    assert (status, body, headers["ETag"]) == (200, b"<p>page</p>", '"one"')
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    server.build = Build("two", b"")
    status, headers, body = asked(server.address, method="HEAD")
    assert (status, body, headers["ETag"]) == (200, b"", '"two"')


def test_only_this_machine_can_ask(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/report.html", "/runs/", "/../cli.py", "//x", "/%2e%2e/", "*"])
def test_nothing_but_the_page_is_served(server: Server, path: str) -> None:
    assert asked(server.address, path)[0] == 404


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1"])
def test_a_tunnel_may_have_another_port(server: Server, host: str) -> None:
    assert asked(server.address, host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8808", "", "127.0.0.1.x", "[", "10.0.0.1"]
)
def test_the_name_of_another_machine_is_refused(server: Server, host: str) -> None:
    status, _, body = asked(server.address, host=host)
    assert status == 403
    assert b"<p>page</p>" not in body


def test_nothing_can_be_sent(server: Server) -> None:
    assert asked(server.address, method="POST")[0] == 501


def test_a_port_that_is_taken_ends_in_a_sentence(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = server.server_address[1]
    assert main(["report", str(tmp_path), "--watch", "--port", str(port)]) == Exit.BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith(f"gp-lab: --port {port}: Address already in use; choose another")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["--port", "x", "--watch"], ["--port=-1", "--watch"], ["--port", "8808"], ["--wat"]]
)
def test_words_that_cannot_be_are_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path), *words]) == Exit.BAD_INPUT
    said = capsys.readouterr().err
    assert words[0].partition("=")[0] in said
    assert said.count("\n") == 1


# -- what moves ----------------------------------------------------------------------------


def test_what_the_page_is_made_of_moves_it_and_nothing_else(make: Make, tmp_path: Path) -> None:
    folder, watched = make("seed=0", metrics=LINE), Watched(tmp_path)
    claims = tmp_path / "figures" / "a" / "b" / "paper" / "claims.json"
    claims.parent.mkdir(parents=True)
    assert watched.moved()
    assert not watched.moved()
    moves: list[Callable[[], object]] = [
        lambda: folder.append_metrics([{"step": 20, "loss_d": 2.0}]),
        lambda: folder.append_timing({"step": 20}),
        lambda: folder.set_status(folder.state),
        lambda: folder.write_arrays("samples", 20, {"fake": np.zeros((2, 2))}),
        lambda: claims.write_text("{}"),
        lambda: make("seed=1"),
        lambda: claims.unlink(),
    ]
    for move in moves:
        move()
        assert watched.moved()
        assert not watched.moved()
    (tmp_path / "report.html").write_text("")
    (folder.path / "checkpoints" / "x").write_text("")
    assert not watched.moved()


def test_the_served_page_asks_its_server_and_the_file_nobody(make: Make, tmp_path: Path) -> None:
    make("seed=0", metrics=LINE)
    build = Watched(tmp_path).build()
    path = tmp_path / "report.html"
    assert "connect-src" not in (policy := Page(path).policy)
    (served := tmp_path / "served.html").write_bytes(build.body)
    page = Page(served)
    assert page.policy.replace("connect-src 'self'; ", "") == policy
    assert ("html", {"lang": "en", "data-build": build.name}) in page.tags
    assert page.data == Page(path).data


def test_pictures_are_drawn_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, watched = make("seed=0"), Watched(tmp_path)
    samples = {"real": np.zeros((5, 2)), "fake": np.ones((5, 2))}
    folder.write_arrays("samples", 5, samples)
    first = watched.build()
    assert watched.build().name == first.name
    folder.write_arrays("samples", 10, samples)
    drawn = list[int]()
    arrays = type(folder).arrays
    monkeypatch.setattr(
        type(folder), "arrays", lambda f, name, step: (drawn.append(step), arrays(f, name, step))[1]
    )
    second = watched.build()
    assert (second.name != first.name, drawn) == (True, [10])


def test_it_is_built_again_and_a_failure_leaves_the_page(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, said, names = make("seed=0", metrics=LINE), list[str](), list[str]()
    errors = list[str]()
    build = Watched.build

    def fails(watched: Watched) -> NoReturn:
        raise BadInput("no room")

    def at_each_pause(_: float) -> None:
        out, error = capsys.readouterr()
        said.append(out)
        errors.append(error)
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", said[0])
        names.append(asked(address, method="HEAD")[1]["ETag"])
        if len(names) == 5:
            raise KeyboardInterrupt
        monkeypatch.setattr(Watched, "build", fails if len(names) in (2, 3) else build)
        if len(names) > 1:
            folder.append_metrics([{"step": 10 * len(names), "loss_d": 2.0}])

    monkeypatch.setattr(module.time, "sleep", at_each_pause)
    with pytest.raises(KeyboardInterrupt):
        watch(tmp_path, 0)
    assert names[0] == names[1] == names[2] == names[3] != names[4]
    assert "".join(errors) == "gp-lab: no room; the page stays\n"


@pytest.mark.seconds
def test_ctrl_c_ends_it_as_other_commands(make: Make, tmp_path: Path) -> None:
    make("seed=0", metrics=LINE)
    process = subprocess.Popen(
        lab_command("report", str(tmp_path), "--watch", "--port=0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"report: {tmp_path / 'report.html'}\n"
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert asked(address)[0] == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == Exit.INTERRUPTED
    assert said == "gp-lab: interrupted; the same command goes on\n"
