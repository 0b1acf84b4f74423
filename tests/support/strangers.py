"""What the tests of files from strangers share: a run that was stopped, changed, and refused."""

import pytest
import yaml
from lab import signal_at, trained

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.runs.folder import RunFolder

RUN = ("steps=20", "log_every=1", "checkpoint_every=5")


def stopped(factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was stopped at step 12."""
    out = factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        signal_at(12, patch)
        return trained(*RUN, f"out={out}")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that ends in one sentence."""
    capsys.readouterr()
    assert main(list(arguments)) == Exit.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("gp-lab: ")


def changed(run: RunFolder, key: str, value: object) -> RunFolder:
    """The run with one entry of its config.yaml replaced, by its dotted key."""
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    node, (*parents, last) = config, key.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    return run
