"""What the tests of damaged checkpoints share: the run, its newest checkpoint, its files."""

from pathlib import Path

from gp_lab.runs import checkpoint
from gp_lab.runs.folder import RunFolder

RUN = ("steps=30", "log_every=3", "checkpoint_every=5")


def newest(run: RunFolder) -> Path:
    return run.path / "checkpoints" / f"step-{checkpoint.steps(run)[-1]:08d}.pt"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the lock and status.json, which says why the run did not go on."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p): p.read_bytes() for p in files if p.name not in (".lock", "status.json")}
