"""Downloads from a server that accepts and never answers end by themselves, or with a signal."""

import importlib
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from image_files import write_mnist
from lab import PATIENCE, trained

from gp_lab import signals
from gp_lab.data.digits import MNIST
from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput
from gp_lab.evaluation.inception import load_inception
from gp_lab.probes import references, scores
from gp_lab.runs.folder import State
from gp_lab.signals import StoppedEarly
from gp_lab.training.stopping import listening

pytestmark = pytest.mark.skipif(
    find_spec("pytorch_fid") is None or find_spec("torchvision") is None,
    reason="pytorch-fid and torchvision are not here",
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """`asked(act)`: from now on whoever downloads waits for a server; `act()` once it was asked."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(PATIENCE)
    over, threads = threading.Event(), []

    def start(act: Callable[[], None] = lambda: None) -> None:
        def serve() -> None:
            connections = [server.accept()[0]]
            connections[0].recv(1)
            act()
            server.settimeout(0.05)
            while not over.is_set():  # others are accepted and get no answer either
                try:
                    connections.append(server.accept()[0])
                except TimeoutError:
                    continue
            for connection in connections:
                connection.close()

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[0].start()

    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    import_torchvision()
    monkeypatch.setattr(
        importlib.import_module("pytorch_fid.inception"), "FID_WEIGHTS_URL", f"{url}weights.pth"
    )
    monkeypatch.setattr(import_torchvision().datasets.MNIST, "mirrors", [url])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "*")
    yield start
    over.set()
    for thread in threads:
        thread.join()
    server.close()


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.seconds
def test_a_server_that_never_answers_is_given_up(
    asked: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert signals.SILENCE == 30
    monkeypatch.setattr(signals, "SILENCE", 0.1)
    asked()
    with pytest.raises(BadInput, match=r"Inception weights cannot be downloaded \(.*timed out"):
        load_inception()
    with pytest.raises(BadInput, match=r"MNIST cannot be downloaded \(.*timed out"):
        MNIST(str(tmp_path / "mnist"), download=True).load()
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("what", ["the Inception weights", "the download of MNIST"])
def test_a_signal_ends_a_download_and_is_heard(
    asked: Callable[..., None], what: str, tmp_path: Path
) -> None:
    asked(terminate)
    mnist = MNIST(str(tmp_path / "mnist"), download=True)
    with listening() as stop:
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(StoppedEarly, match=f"stopped by SIGTERM while it waited for {what}"):
            load_inception() if "weights" in what else mnist.load()
        assert signal.getsignal(signal.SIGTERM) == before
    assert stop.state == State.PREEMPTED


def test_a_run_that_waits_for_the_inception_weights_is_preempted_by_sigterm(
    asked: Callable[..., None], tmp_path: Path
) -> None:
    write_mnist(tmp_path / "mnist", 40)
    asked(terminate)
    references._inception.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run = trained(
            *("dataset=mnist", "dataset.source.checksum=false", f"dataset.root={tmp_path}/mnist"),
            *("architecture=mlp_mnist", "architecture.width=8", "loss=non_saturating"),
            *("batch_size=5", "steps=3", "probe=[inception]", "probe.inception.every=2"),
            *("probe.inception.count=20", "probe.inception.subset=0", f"out={tmp_path}/out"),
            *("tracking=none", "threads=1", "device=cpu"),
            base=(),
        )
    assert (run.state, run.status["step"]) == (State.PREEMPTED, 2)
    assert run.status["why"] == "stopped by SIGTERM"
    (sentence,) = {str(w.message) for w in said if w.category is scores.MissingWeights}
    assert sentence.endswith("stopped by SIGTERM while it waited for the Inception weights")
