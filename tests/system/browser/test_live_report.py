"""A report that is watched, in a browser: it follows the runs, and the reader is not disturbed."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import PATIENCE, lab_command

from gp_lab.runs.folder import find_runs

pytestmark = pytest.mark.slow


@pytest.fixture
def out(swept: Path, tmp_path: Path) -> Path:
    return shutil.copytree(swept, tmp_path / "out")


@pytest.fixture
def watching(out: Path) -> Iterator[subprocess.Popen[str]]:
    command = lab_command("report", str(out), "--watch", "--port=0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()


def test_a_new_build_comes_and_what_was_chosen_stays(
    out: Path, watching: subprocess.Popen[str], page: Any, said: list[str]
) -> None:
    assert watching.stdout is not None
    watching.stdout.readline()
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", watching.stdout.readline())
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}#compare?m=loss_d&f=penalty%3Done_gp")
    page.wait_for_selector("#live:has-text('live')")
    page.locator("#groups td button").first.click()
    page.locator("#groups input[type=checkbox]").first.focus()
    page.evaluate("scrollTo(0, 200)")
    chosen = page.evaluate("location.hash")
    for run in find_runs(out):
        run.append_metrics([{"step": 20, "loss_d": 1234.0}])
    page.wait_for_selector("#groups td:has-text('1234')", timeout=1000 * PATIENCE)
    assert page.evaluate("location.hash") == chosen
    assert page.input_value("#filter") == "penalty=one_gp"
    assert page.locator("#groups .seeds li").count() == 3
    assert page.evaluate("scrollY") == 200
    assert page.evaluate("document.activeElement.type") == "checkbox"
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {address}
    watching.send_signal(signal.SIGINT)
    watching.wait(timeout=PATIENCE)
    page.wait_for_selector("#live:has-text('no longer live')", timeout=1000 * PATIENCE)
    assert all("ERR_" in text for text in said)  # nobody answers any more
    said.clear()
