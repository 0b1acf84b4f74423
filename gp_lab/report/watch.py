"""`gp-lab report --watch`: the page again and again as runs progress, served to this machine alone.

The page asks whether there is a newer build, and takes it; the file beside it asks for nothing.
"""

import hashlib
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import NoReturn
from urllib.parse import urlsplit

from gp_lab.errors import BadInput, LabError, one_line, printable
from gp_lab.figures.publishing import published
from gp_lab.files import write_atomically
from gp_lab.report.page import gathered, inside, page_text
from gp_lab.report.pictures import DRAWN, Drawn
from gp_lab.runs.folder import find_runs

LOOPBACK, PORT = "127.0.0.1", 8808

NAMES = (LOOPBACK, "localhost")
"""What a browser on this machine, or at the end of a tunnel to it, calls it: another name is that
of a stranger's page, which has it lead here."""

PAUSE, SHARE = 5.0, 4
"""Seconds between two looks at the folder; the pause is at least so many times the last build."""

FILES = ("config.yaml", "status.json", "metrics.jsonl", "evaluations.jsonl", "timing.jsonl")
"""Of a run, beside its arrays: what the page is made of."""

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Stamps = dict[Path, tuple[int, int]]


@dataclass(frozen=True)
class Build:
    """A page as it is served, and what tells it from others."""

    name: str
    body: bytes


@dataclass
class Watched:
    """A folder, how its files stood when they were last looked at, and what was drawn of them."""

    root: Path
    stamps: Stamps = field(default_factory=dict)
    drawn: Drawn = field(default_factory=dict)

    def moved(self) -> bool:
        """Whether anything that the page is made of has changed since the last question."""
        before, self.stamps = self.stamps, stamps_of(self.root)
        return self.stamps != before

    def build(self) -> Build:
        """Write the page, and make the one that is served."""
        what = gathered(self.root, self.drawn)
        for old in list(self.drawn)[: -4 * DRAWN]:
            del self.drawn[old]
        text = page_text(what).encode()
        write_atomically(self.root / "report.html", text)
        name = hashlib.sha256(text).hexdigest()[:16]
        return Build(name, page_text(what, name).encode())


class Answer(BaseHTTPRequestHandler):
    """The page at `/`, and nothing else, to who asks for it by a name of this machine."""

    server: "Server"
    server_version, sys_version, timeout = "gp-lab", "", 30

    def do_GET(self) -> None:
        self._answer(whole=True)

    def do_HEAD(self) -> None:
        self._answer(whole=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is for what happens to the page."""

    def _answer(self, whole: bool) -> None:
        build = self.server.build
        if _name_in(self.headers.get("Host", "")) not in NAMES:
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path.partition("?")[0] != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self.send_response(HTTPStatus.OK)
            own = {"ETag": f'"{build.name}"', "Content-Length": str(len(build.body))}
            for name, value in (HEADERS | own).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(build.body if whole else b"")


class Server(ThreadingTCPServer):
    """Raises `BadInput` for a port that is taken, or cannot be had."""

    allow_reuse_address, daemon_threads = True, True
    build: Build

    def __init__(self, port: int) -> None:
        try:
            super().__init__((LOOPBACK, port), Answer)
        except (OSError, OverflowError) as error:
            raise BadInput(
                f"--port {port}: {one_line(error)}; choose another, or 0 for one that is free"
            ) from error

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: who asked has gone."""


def watch(root: Path, port: int = PORT, pause: float = PAUSE) -> NoReturn:
    """Build the page, serve it, and build it again when runs have progressed, until Ctrl-C.

    What goes wrong later is said once, and the page stays as it was. Raises `BadInput` for a port
    that is taken.
    """
    with Server(port) as server:
        watched, said, took = Watched(root), "", 0.0
        watched.moved()
        server.build = watched.build()
        Thread(target=server.serve_forever, daemon=True).start()
        print(
            f"report: {root / 'report.html'}\nlive: {server.address}  (Ctrl-C ends it)", flush=True
        )
        while True:
            time.sleep(max(pause, min(SHARE * took, 60)))
            began = time.monotonic()
            try:
                if not watched.moved():
                    continue
                server.build, said = watched.build(), ""
            except (LabError, OSError) as error:
                watched.stamps = {}  # it is tried again
                if said != (said := one_line(error)):
                    print(f"gp-lab: {printable(said)}; the page stays", file=sys.stderr)
            took = time.monotonic() - began


def stamps_of(root: Path) -> Stamps:
    """When the files that the page is made of were last written, and how large they are."""
    runs = [folder.path for folder in find_runs(inside(root, "runs"))]
    paths = [path / name for path in runs for name in (*FILES, "arrays")]
    found = {}
    for path in [*paths, *published(inside(root, "figures"))]:
        try:
            status = path.stat()
        except OSError:  # not written yet, or gone again
            continue
        found[path] = status.st_mtime_ns, status.st_size
    return found


def _name_in(host: str) -> str | None:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
