"""The report in a browser without a display: filters, choices, curves, pictures, addresses.

Run by hand, with the Debian package chromium and playwright (`pip install -e ".[browser]"`), which
together take half a gigabyte: pytest --slow tests/system/browser
"""

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared import Make
from compared import make as make

import gp_lab
from gp_lab.report.page import write_report
from gp_lab.runs.compare_table import cells

pytestmark = pytest.mark.slow

Open = Callable[[str], Any]


@pytest.fixture
def report(make: Make, tmp_path: Path) -> Path:
    """Two penalties, two rates, three seeds, with curves and pictures."""
    rng = np.random.default_rng(0)
    for penalty in ("none", "one_gp"):
        for rate in (0.001, 0.1):
            for seed in range(3):
                lines = [
                    {"step": s, "loss_d": float(rng.normal()), "modes/w1": float(rng.normal() + 3)}
                    for s in range(1, 11)
                ]
                chosen = (f"penalty={penalty}", f"optimizer.lr={rate}", f"seed={seed}")
                folder = make(*chosen, metrics=lines)
                for step in (5, 10):
                    fake = rng.normal(size=(50, 2)) * step
                    folder.write_arrays("samples", step, {"real": fake / 2, "fake": fake})
    return write_report(tmp_path)


@pytest.fixture
def said() -> list[str]:
    """What the page complains of, and asks for from elsewhere."""
    return []


@pytest.fixture
def opened(report: Path, said: list[str], absent: Callable[[str], None]) -> Iterator[Open]:
    """`opened("#compare")` is the page there; whatever it says or asks for fails the test."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        absent("chromium")
    if importlib.util.find_spec("playwright") is None:
        absent("playwright")
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = running.new_page(viewport={"width": 1200, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))

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

        yield at
        running.close()
    assert said == []


def rows(page: Any) -> list[list[str]]:
    """The table of groups as texts, without the boxes to tick."""
    lines = page.locator("#groups tr")
    return [[cell.inner_text() for cell in line.locator("th,td").all()][2:] for line in lines.all()]


def filtered(page: Any, words: str) -> list[list[str]]:
    page.fill("#filter", words)
    chosen = "new URLSearchParams(location.hash.split('?')[1]).get('f')"
    page.wait_for_function(f"words => {chosen} === words", arg=words)
    return rows(page)[1:]


def test_the_table_is_that_of_compare(opened: Open, tmp_path: Path) -> None:
    expected = cells(gp_lab.compare(tmp_path), ["modes/w1", "loss_d"])
    found = rows(opened("#compare?m=modes/w1,loss_d"))
    assert [[text.replace("±", "+-") for text in line] for line in found] == expected


def test_filters_sorting_and_a_baseline(opened: Open) -> None:
    page = opened("#compare")
    assert len(rows(page)) == 5
    assert [line[0] for line in filtered(page, "penalty=none")] == ["0.001", "0.1"]
    assert len(filtered(page, "optimizer.lr=1e-4..1e-2")) == 2
    assert len(filtered(page, "one_gp optimizer.lr>0.01")) == 1
    assert [line[2] for line in filtered(page, "seed=0,1")] == ["2"] * 4
    assert len(filtered(page, "penalty!=none")) == 2
    filtered(page, "nothing.there=1")
    assert "No run has nothing.there" in page.inner_text("#said")
    filtered(page, "state=finished")
    page.click("#groups th button:has-text('modes/w1')")
    column = rows(page)[0].index("modes/w1 ▲")
    means = [float(line[column].split()[0]) for line in rows(page)[1:]]
    assert means == sorted(means)
    assert page.locator("#groups td.best").count() == 1
    page.locator("#groups input[type=radio]").first.click()
    assert page.locator("#groups .delta").count() >= 3
    assert all(text.startswith("Δ") for text in page.locator("#groups .delta").all_inner_texts())


def test_groups_that_are_chosen_are_drawn_and_the_address_keeps_them(opened: Open) -> None:
    page = opened("#compare")
    assert page.locator("#charts canvas").count() >= 2
    assert page.locator("#charts .u-legend").count() >= 2
    page.locator("#groups input[type=checkbox]").first.click()
    assert page.locator("#charts .legend > span").count() == 3
    address = page.evaluate("location.hash")
    drawn = page.locator("#charts .legend").inner_text()
    again = opened(address)
    assert again.locator("#charts .legend").inner_text() == drawn
    for box in ("log x", "log y", "each seed"):
        again.click(f"#curve-bar label:has-text('{box}') input")
    assert again.locator("#charts canvas").count() >= 2
    assert again.locator("#heat td.cell").count() == 4


def test_a_slider_shows_other_steps(opened: Open) -> None:
    page = opened("#compare")
    first = page.locator("#pictures img").first
    assert page.locator("#pictures img").count() == 4
    last = first.get_attribute("src")
    assert "step 10" in page.inner_text("#pictures")
    page.focus("#picture-bar .steps")
    page.keyboard.press("ArrowLeft")
    assert "step 5" in page.inner_text("#pictures")
    assert first.get_attribute("src") != last
    assert first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_run_opens_at_its_address(opened: Open, tmp_path: Path) -> None:
    name = sorted(path.name for path in (tmp_path / "runs").iterdir())[0]
    page = opened(f"#run-{name}")
    assert page.inner_text("#run h3") == name
    assert page.is_visible("#run-table")
    assert not page.is_visible("#groups")
    assert page.locator("#run canvas").count() == 2
    page.keyboard.press("2")
    assert page.is_visible("#edition")


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(opened: Open, width: int, scheme: str) -> None:
    page = opened("#compare")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_script_that_is_put_in_does_not_run(report: Path, opened: Open, said: list[str]) -> None:
    text = report.read_text()
    report.write_text(text.replace("</main>", "<script>document.title = 'caught'</script></main>"))
    page = opened("#compare")
    assert page.title() != "caught"
    assert page.locator("#groups tr").count() == 5  # its own scripts do
    (refusal,) = said
    assert "Content Security Policy" in refusal
    said.clear()
