"""A report in a browser without a display. What it complains of, or asks for from elsewhere, fails
the test."""

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared import maker

from gp_lab.report.page import write_report

REFERENCE = Path(__file__).parents[3] / "outputs" / "reference" / "zero_gp" / "prop2"

Open = Callable[[str], Any]


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two penalties, two rates, three seeds, with curves, clocks, pictures, and an entry."""
    rng, out = np.random.default_rng(0), tmp_path_factory.mktemp("report")
    make = maker(out)
    for penalty in ("none", "one_gp"):
        for rate in (0.001, 0.1):
            for seed in range(3):
                lines = [
                    {"step": s, "loss_d": float(rng.normal()), "modes/w1": float(rng.normal() + 3)}
                    for s in range(1, 11)
                ]
                chosen = (f"penalty={penalty}", f"optimizer.lr={rate}", f"seed={seed}")
                folder = make(*chosen, metrics=lines)
                folder.set_status(folder.state, rate=0.5)
                for step in range(1, 11) if penalty == "none" else ():
                    clock = {"seconds": 60.0 * step, "iterations_per_second": 1 / 60}
                    folder.append_timing({"step": step, **clock})
                for step in (5, 10):
                    fake = rng.normal(size=(50, 2)) * step
                    folder.write_arrays("samples", step, {"real": fake / 2, "fake": fake})
    shutil.copytree(REFERENCE, out / "figures" / "zero_gp" / "prop2")
    write_report(out)
    return out


@pytest.fixture
def report(swept: Path, tmp_path: Path) -> Path:
    """The page of these, to be changed at will."""
    return Path(shutil.copy(swept / "report.html", tmp_path))


@pytest.fixture
def said() -> list[str]:
    """What the page complains of, and asks for from elsewhere."""
    return []


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A chromium, or None where it or playwright is missing."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None or importlib.util.find_spec("playwright") is None:
        yield None
        return
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, said: list[str], absent: Callable[[str], None]) -> Iterator[Any]:
    """An empty page, which may say nothing."""
    if browser is None:
        absent("chromium, or playwright")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    page.close()
    assert said == []


@pytest.fixture
def opened(report: Path, page: Any, said: list[str]) -> Open:
    """`opened("#compare")` is the page there."""

    def only_the_file(route: Any) -> None:
        if route.request.url.partition("#")[0] == report.as_uri():
            route.continue_()
        else:
            said.append(route.request.url)
            route.abort()

    page.route(lambda url: not url.startswith("data:"), only_the_file)

    def at(address: str) -> Any:
        page.goto("about:blank")
        page.goto(report.as_uri() + address)
        return page

    return at
