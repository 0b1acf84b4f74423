"""A W&B server on the loopback: it keeps what runs send, counts what it is asked, and can fail."""

import json
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from lab import free_port

KEY = "1f0e" * 10

Behaviour = Literal["answers", "error", "hangs", "trickles", "closes", "refuses"]
"""How it meets a request: as it should, with status 500, never, with one byte a second, by hanging
up; or it does not listen any more. Its port is then free, and below those that systems hand out:
nobody else answers there."""


class WandbServer:
    """Speaks as much of W&B's protocol as its client needs to begin, resume, write and end runs, to
    upload artifacts, to save workspaces, and for an agent of one sweep.

    requests: what was asked, as `POST /graphql UpsertBucket`; runs: id -> what the client said of
    it; files: id -> file -> its lines; artifacts, views: name -> what was said of it; uploads: path
    -> content; sweep: its config; commands: what an agent is told whenever it has nothing to do.
    """

    def __init__(self) -> None:
        self.behaviour: Behaviour = "answers"
        self.requests: list[str] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, list[str]]] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.sweep: dict[str, Any] = {}
        self.commands: list[list[dict[str, Any]]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.over = threading.Event()
        self._http: _Http | None = None
        self._listen(free_port())
        assert self._http is not None
        self.address = f"127.0.0.1:{self._http.server_address[1]}"
        self.url = f"http://{self.address}"

    def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        if behaviour == "refuses" and self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        elif behaviour != "refuses" and self._http is None:
            self._listen(int(self.address.rpartition(":")[2]))

    def tell(self, behaviour: Behaviour) -> None:
        """`behave`, from another process that has a copy of this object; at most the first time."""
        with suppress(OSError):  # it refuses by now
            urllib.request.urlopen(f"{self.url}/behave/{behaviour}").close()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}

    def end(self) -> None:
        self.behave("refuses")
        self.over.set()

    def steps(self, run: str) -> list[int]:
        """The steps of a run's history, in the order in which it came."""
        return [line["_step"] for line in self.history(run)]

    def history(self, run: str) -> list[dict[str, Any]]:
        lines = self.files.get(run, {}).get("wandb-history.jsonl", [])
        return [json.loads(line) for line in lines]

    def answer(self, path: str, body: bytes) -> Any:
        """The answer to a request, as what its JSON says."""
        if path == "/graphql":
            asked = json.loads(body)
            answer = _ANSWERS.get(_operation(body), lambda *_: {})
            return {"data": answer(self, asked.get("variables", {}))}
        if path.startswith("/upload/"):
            self.uploads[path.removeprefix("/upload/")] = body
        if path.endswith("/file_stream"):
            self._stream(path.split("/")[-2], json.loads(body))
        return {}

    def _stream(self, run: str, sent: dict[str, Any]) -> None:
        for name, chunk in (sent.get("files") or {}).items():
            lines = self.files.setdefault(run, {}).setdefault(name, [])
            lines[chunk["offset"] :] = chunk["content"]
        if sent.get("complete"):
            self.runs[run]["exit_code"] = sent.get("exitcode")

    def _listen(self, port: int) -> None:
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: WandbServer

    def handle_error(self, *_: object) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_POST(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/behave/"):
            owner.behave(self.path.split("/")[-1])
            return self._send(200, {})
        owner.requests.append(f"{self.command} {self.path} {_operation(body)}".strip())
        match owner.behaviour:
            case "answers":
                self._send(200, owner.answer(self.path, body))
            case "error":
                self._send(500, {"error": "out of order"})
            case "hangs":
                owner.over.wait()
            case "closes" | "refuses":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case "trickles":
                self._trickle()

    do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _trickle(self) -> None:
        with suppress(OSError):
            self.send_response(200)
            self.send_header("content-length", "1000000")
            self.end_headers()
            while not self.server.owner.over.wait(1.0):
                self.wfile.write(b" ")
                self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def _operation(body: bytes) -> str:
    with suppress(ValueError, AttributeError):
        asked = json.loads(body)
        of_query = re.search(r"(?:query|mutation)\s+(\w+)", asked.get("query", ""))
        return str(asked.get("operationName") or (of_query[1] if of_query else ""))
    return ""


def _resume(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    project = _project(said)
    run = server.runs.get(said["name"])
    if run is None:
        return {"model": project | {"bucket": None}}
    files = server.files.get(said["name"], {})
    history, events = (files.get(f"wandb-{k}.jsonl", []) for k in ("history", "events"))
    bucket = _bucket(server, said["name"]) | {
        "summaryMetrics": "{}",
        "logLineCount": 0,
        "eventsLineCount": len(events),
        "historyTail": json.dumps(history[-1:]),
        "eventsTail": json.dumps(events[-1:]),
        "tags": [],
        "notes": None,
        "wandbConfig": json.dumps({"t": 1}),
    }
    return {"model": project | {"bucket": bucket}}


def _upsert(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    inserted = said["name"] not in server.runs
    run = server.runs.setdefault(said["name"], {})
    run |= {k: v for k, v in said.items() if v is not None}
    more = {"description": None, "sweepName": None, "project": _project(run)}
    return {"upsertBucket": {"bucket": _bucket(server, said["name"]) | more, "inserted": inserted}}


def _bucket(server: WandbServer, name: str) -> dict[str, Any]:
    run, lines = server.runs[name], server.files.get(name, {}).get("wandb-history.jsonl", [])
    return {
        "id": name,
        "name": name,
        "displayName": run.get("displayName"),
        "config": run.get("config") or "{}",
        "historyLineCount": len(lines),
    }


def _project(said: dict[str, Any]) -> dict[str, Any]:
    entity = {"id": "2", "name": said.get("entity") or "someone"}
    return {"id": "1", "name": said["project"], "entity": entity}


def _create_files(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    files = [
        {"name": name, "uploadUrl": f"{server.url}/upload/{said['run']}/{name}"}
        for name in said["files"]
    ]
    return {"createRunFiles": {"runID": said["run"], "uploadHeaders": [], "files": files}}


def _create_artifact(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    asked = said["input"]
    server.artifacts[asked["artifactCollectionName"]] = asked
    artifact = {"id": "a", "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
    return {"createArtifact": {"artifact": artifact}}


def _create_manifest(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    manifest = {"id": "m", "file": _file(server, said)}
    return {"createArtifactManifest": {"artifactManifest": manifest}}


def _create_artifact_files(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    files = [{"node": _file(server, file)} for file in said["input"]["artifactFiles"]]
    return {"createArtifactFiles": {"files": {"edges": files}}}


def _file(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    name = said["name"]
    url = f"{server.url}/upload/artifact/{name}"
    file = {"id": name, "name": name, "displayName": name, "uploadUrl": url, "uploadHeaders": []}
    return file | {"storagePath": name, "artifact": {"id": "a"}}


def _sweep(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    config = json.dumps(server.sweep)  # JSON is YAML
    return {"project": {"sweep": {"name": said["sweep"], "config": config, "runs": {"edges": []}}}}


def _heartbeat(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    idle = not json.loads(said["runState"])
    commands = server.commands.pop(0) if idle and server.commands else []
    return {"agentHeartbeat": {"agent": {"id": said["id"]}, "commands": json.dumps(commands)}}


def _upsert_view(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    server.views[said["name"]] = said
    return {"upsertView": {"view": {"id": "v", "name": said["name"]}, "inserted": True}}


def _view(server: WandbServer, said: dict[str, Any]) -> dict[str, Any]:
    found = server.views.get(said["viewName"])
    nodes = [{"node": {"id": "v", **found}}] if found else []
    return {"project": {"allViews": {"edges": nodes}}}


_SOMEONE = {"id": "u", "entity": "someone", "username": "someone", "email": "", "flags": "{}",
            "teams": {"edges": []}, "admin": False, "name": "Someone"}  # fmt: skip

_ANSWERS = {
    "RunResumeStatus": _resume,
    "UpsertBucket": _upsert,
    "CreateRunFiles": _create_files,
    "ArtifactType": lambda *_: {"project": {"artifact": None}},
    "CreateArtifact": _create_artifact,
    "CreateArtifactFiles": _create_artifact_files,
    "CreateArtifactManifest": _create_manifest,
    "CommitArtifact": lambda *_: {"commitArtifact": {"artifact": {"id": "a", "digest": "d"}}},
    "Viewer": lambda *_: {"viewer": _SOMEONE},
    "GetDefaultEntity": lambda *_: {"viewer": _SOMEONE},
    "SweepWithRuns": _sweep,
    "CreateAgent": lambda *_: {"createAgent": {"agent": {"id": "an-agent"}}},
    "Heartbeat": _heartbeat,
    "UpsertView2": _upsert_view,
    "View": _view,
}


@contextmanager
def serving(behaviour: Behaviour = "answers") -> Iterator[WandbServer]:
    """A server while inside."""
    server = WandbServer()
    server.behave(behaviour)
    try:
        yield server
    finally:
        server.end()
