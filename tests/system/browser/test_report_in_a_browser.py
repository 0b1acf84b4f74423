"""The report in a browser without a display: filters, choices, curves, pictures, addresses.

Run by hand, with the Debian package chromium and playwright (`pip install -e ".[browser]"`), which
together take half a gigabyte: pytest --slow tests/system/browser
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compared import maker

import gp_lab
from gp_lab.report.page import write_report
from gp_lab.runs.compare_table import cells

pytestmark = pytest.mark.slow

Open = Callable[[str], Any]


def rows(page: Any) -> list[list[str]]:
    """The table of groups as texts, without the boxes to tick."""
    lines = page.locator("#groups tr")
    return [[cell.inner_text() for cell in line.locator("th,td").all()][2:] for line in lines.all()]


def filtered(page: Any, words: str) -> list[list[str]]:
    page.fill("#filter", words)
    chosen = "new URLSearchParams(location.hash.split('?')[1]).get('f')"
    page.wait_for_function(f"words => {chosen} === words", arg=words)
    return rows(page)[1:]


def test_the_table_is_that_of_compare(opened: Open, swept: Path) -> None:
    expected = cells(gp_lab.compare(swept), ["modes/w1", "loss_d"])
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


def test_a_run_opens_at_its_address(opened: Open, swept: Path) -> None:
    name = sorted(path.name for path in (swept / "runs").iterdir() if "-none-" in path.name)[0]
    page = opened(f"#run-{name}")
    assert page.inner_text("#run h3") == name
    assert page.is_visible("#run-table")
    assert not page.is_visible("#groups")
    assert page.locator("#run canvas").count() == 3
    assert page.locator("#run .chart h4").all_inner_texts()[-1] == "iterations a second"
    page.keyboard.press("2")
    assert page.is_visible("#of-edition")
    page.keyboard.press("/")
    assert page.is_visible("#groups")
    assert page.evaluate("document.activeElement.id") == "filter"


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


def test_values_that_have_blanks_and_commas_can_be_asked_for(opened: Open) -> None:
    page = opened("#compare")
    assert len(filtered(page, "optimizer.betas=[0.5, 0.9]")) == 0
    assert len(filtered(page, "optimizer.betas=[0, 0.9] seed=0")) == 4
    assert len(filtered(page, "optimizer.betas=[0,0.9],[1,1] one_gp")) == 2
    assert len(filtered(page, 'penalty="none","one_gp"')) == 4
    filtered(page, "modes/w1>x")
    assert "modes/w1>x: no number" in page.inner_text("#said")


def test_minutes_are_those_of_the_clock_or_of_the_mean_rate(opened: Open) -> None:
    page = opened("#compare?x=time&f=penalty%3Dnone")
    assert "timing.jsonl" not in page.inner_text("#charts")
    assert last_minutes(page) == 10  # a minute a step
    filtered(page, "penalty=one_gp")
    assert "Of 6 of 6 runs there is no timing.jsonl" in page.inner_text("#charts")
    assert last_minutes(page) == pytest.approx(10 / 0.5 / 60, abs=0.01)


def last_minutes(page: Any) -> float:
    """What the first chart says at its right end."""
    box = page.locator("#charts .u-over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    said = page.locator("#charts .u-legend .u-series").first
    assert "minutes" in said.inner_text()
    return float(said.locator(".u-value").inner_text())


def test_the_keyboard_stays_where_it_was_when_all_is_drawn_again(opened: Open) -> None:
    page = opened("#compare")
    page.locator("#groups input[type=checkbox]").nth(2).focus()
    page.keyboard.press("Space")
    assert page.locator("#charts .legend > span").count() == 3
    assert page.evaluate("document.activeElement.ariaLabel").startswith("draw ")
    page.keyboard.press("Space")
    assert page.locator("#charts .legend > span").count() == 4
    page.locator("#groups td button").first.press("Enter")
    assert page.locator("#groups .seeds li").count() == 3
    again = opened(page.evaluate("location.hash"))
    assert again.locator("#groups .seeds li").count() == 3


def test_what_is_chosen_stays_from_view_to_view(opened: Open) -> None:
    page = opened("#compare")
    filtered(page, "penalty=none")
    page.click("nav a:has-text('Runs')")
    assert page.locator("#run-table tbody tr").count() == 6
    page.click("nav a:has-text('Compare')")
    page.reload()
    assert page.input_value("#filter") == "penalty=none"
    assert len(rows(page)) == 3


def test_runs_are_sorted_by_a_click(opened: Open) -> None:
    page = opened("#runs")
    page.click("#run-table th button:has-text('seed')")
    seeds = page.locator("#run-table tbody tr td:nth-child(2)").all_inner_texts()
    assert seeds == sorted(seeds)
    page.click("#run-table th button:has-text('seed')")
    seeds = page.locator("#run-table tbody tr td:nth-child(2)").all_inner_texts()
    assert seeds == sorted(seeds, reverse=True)
    assert page.get_attribute("#run-table th:nth-child(2)", "aria-sort") == "descending"


def test_a_stretch_of_an_axis_becomes_a_word_of_the_filter(opened: Open, report: Path) -> None:
    make = maker(report.parent)
    for weight in (1, 10, 100):
        for rate in (0.001, 0.1):
            for batch in (8, 16):
                score = [{"step": 10, "modes/w1": weight + rate + batch}]
                given = (f"penalty.weight={weight}", f"optimizer.lr={rate}", f"batch_size={batch}")
                make("penalty=one_gp", *given, metrics=score)
    write_report(report.parent)
    page = opened("#compare?f=state%3Dfinished")
    names = page.locator("#coordinates .name").all_text_contents()
    assert sorted(names) == ["batch_size", "modes/w1", "optimizer.lr", "penalty.weight"]
    assert page.locator("#coordinates .line").count() == 12
    draw_over(page, "penalty.weight", 0.4, 1)
    assert filtered_by(page) == "state=finished penalty.weight=10,100"
    assert page.locator("#coordinates .line:not(.faint)").count() == 8
    assert len(rows(page)) == 9
    draw_over(page, "modes/w1", 0, 0.3)
    assert filtered_by(page).startswith("state=finished penalty.weight=10,100 modes/w1=9")
    assert len(rows(page)) == 5
    draw_over(page, "penalty.weight", 0.5, 0.5)  # a click
    assert "penalty.weight" not in filtered_by(page)
    again = opened(page.evaluate("location.hash"))
    again.click("text=clear the axes")
    assert filtered_by(again) == "state=finished"
    assert len(rows(again)) == 13


def draw_over(page: Any, key: str, low: float, high: float) -> None:
    """Draw over a part of an axis, from 0 at its foot to 1 at its top."""
    axis = page.locator("#coordinates .axis").filter(has_text=key).locator(".grip")
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    x, foot = box["x"] + box["width"] / 2, box["y"] + box["height"] - 10
    page.mouse.move(x, foot - low * (box["height"] - 20))
    page.mouse.down()
    page.mouse.move(x, foot - high * (box["height"] - 20), steps=3)
    page.mouse.up()


def filtered_by(page: Any) -> str:
    return str(page.input_value("#filter"))


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    opened: Open, swept: Path, scheme: str, width: int, absent: Callable[[str], None]
) -> None:
    if importlib.util.find_spec("axe_playwright_python") is None:
        absent("axe-playwright-python")
    axe = importlib.import_module("axe_playwright_python.sync_playwright").Axe()
    run = sorted(path.name for path in (swept / "runs").iterdir())[0]
    for address in ("#compare", "#edition", "#entry-zero_gp-prop2", "#runs", f"#run-{run}"):
        page = opened(address)
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found = axe.run(page).response["violations"]
        serious = [
            (address, one["id"], node["target"], node["failureSummary"])
            for one in found
            for node in one["nodes"]
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
