"""What all tests share: slow tests on request, tools that may be missing, threads."""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow (minutes)")


def pytest_configure(config: pytest.Config) -> None:
    # What the lab keeps of files between commands is no business of the user's; fonts are slow.
    kept = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    os.environ.setdefault("MPLCONFIGDIR", str(Path(kept, "matplotlib")))
    folder = tempfile.TemporaryDirectory(prefix="gp-lab-cache-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_CACHE_HOME"] = folder.name
    if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores
        torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    device = os.environ.get("GP_LAB_TEST_DEVICE", "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))
    # These have ports, signals and schedules of a machine that others use; README.md.
    tests = Path(__file__).parent
    for item in items:
        if {tests / "system", tests / "unit" / "tracking"} & {*item.path.parents}:
            item.add_marker(pytest.mark.flaky(reruns=1))
    # They wait more than they work: begun last, they would leave a core idle.
    items.sort(key=lambda item: item.path.parent.name != "slurm")


def _absent(what: str) -> None:
    """Skips, or fails where everything has to be there (GP_LAB_REQUIRE_TOOLS=1)."""
    if os.environ.get("GP_LAB_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{what} is not here, and GP_LAB_REQUIRE_TOOLS=1 asks for it")
    pytest.skip(f"{what} is not here")


@pytest.fixture
def needs_tool() -> Callable[[str], None]:
    """`needs_tool("squeue")` skips the test where that program is missing."""

    def check(name: str) -> None:
        if shutil.which(name) is None:
            _absent(name)

    return check


@pytest.fixture
def absent() -> Callable[[str], None]:
    """`absent("a GPU")` skips the test, or fails it where everything has to be there."""
    return _absent


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(kilobytes)` is an empty disk of that size; skips where none can be mounted."""
    disks: list[Path] = []

    def mounted(kilobytes: int) -> Path:
        disk = tmp_path / f"disk{len(disks)}"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            _absent("the right to mount a small disk")
        disks.append(disk)
        return disk

    yield mounted
    for disk in disks:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A home and a folder of its own for W&B, without settings, and nothing learnt before."""
    from gp_lab.tracking import wandb_inside, weights_and_biases

    def forget() -> None:
        wandb_inside.end_service()
        os.environ.pop("WANDB_SERVICE", None)  # of one that has ended
        weights_and_biases._silence.cache_clear()
        weights_and_biases._say_once.cache_clear()
        weights_and_biases._failed.clear()
        weights_and_biases._open.clear()

    forget()
    proxies = {f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")}
    for name in [*os.environ]:
        if name.startswith("WANDB_") or name == "NETRC" or name.lower() in proxies:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    yield home
    forget()


@pytest.fixture
def needs_compiler() -> None:
    """Skips where torch.compile cannot build for the CPU: a C++ compiler, Python's headers."""
    if not any(shutil.which(name) for name in ("g++", "c++", "clang++")):
        _absent("a C++ compiler")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        _absent("Python.h")
