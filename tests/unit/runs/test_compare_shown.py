"""`gp-lab compare`: what the table, the CSV and the report show of the groups."""

import csv
import io
import re
from pathlib import Path

import pytest
from compared import Make, runs_of
from compared import make as make
from compared import sweep as sweep
from compared import trained as trained
from helpers import names_in, nodes_of
from report_page import Page

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.evaluation.intervals import mean_interval
from gp_lab.instantiate import resolve
from gp_lab.report.page import write_report
from gp_lab.runs.compare_table import cells, table
from gp_lab.runs.folder import State, find_runs
from gp_lab.runs.scores import HIGHER, LOWER, better, in_order, metrics_of, telling_metrics


def test_scores_are_shown_first_and_losses_where_there_are_none(make: Make, tmp_path: Path) -> None:
    losses = {"step": 10, "loss_d": 1.0, "loss_g": 1.0, "f_real": 1.0, "surface/slope_max": 1.0}
    folder = make(metrics=[losses])
    assert telling_metrics(gp_lab.compare(tmp_path)) == ["loss_d", "loss_g"]
    folder.append_metrics([{"step": 10, "modes/w1": 1, "inception/is": 1, "inception/is_std": 1}])
    folder.append_metrics([{"step": 10, "inception/fid": 1, "inception/is": 1}])
    groups = gp_lab.compare(tmp_path)
    assert telling_metrics(groups) == ["inception/fid", "inception/is", "modes/w1"]
    assert metrics_of(groups)[-2:] == ["f_real", "surface/slope_max"]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_fits_the_terminal_and_names_what_it_leaves_out(
    width: int, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["compare", str(sweep)]) == Exit.OK
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert "held_out/accuracy_held_out" in shown.splitlines()[0]
    assert set(metrics_of(gp_lab.compare(sweep))) <= set(re.findall(r"[\w/]+", shown))


def test_keys_are_cut_to_their_last_part_where_the_terminal_is_narrow(
    make: Make, tmp_path: Path
) -> None:
    for i in range(2):
        given = [f"{key}={i + 1}" for key in ("penalty.weight", "optimizer.lr", "schedule.factor")]
        make(*given, f"architecture.width={i + 8}", f"optimizer.weight_decay={i}")
    groups = gp_lab.compare(tmp_path)
    full, short = table(groups).splitlines()[0], table(groups, width=80).splitlines()[0]
    assert "architecture.width" in full.split()
    assert {"width", "weight", "weight_decay", "lr", "factor"} < set(short.split())


@pytest.mark.seconds
def test_groups_are_sorted_by_a_metric_and_those_without_it_are_last(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for weight, value in ((1, 3.0), (2, None), (3, 1.0), (4, 2.0)):
        lines = [{"step": 10, "loss_d": value}] if value else []
        make(f"penalty.weight={weight}", metrics=lines)
    groups = gp_lab.compare(tmp_path)
    assert [g.values["penalty.weight"] for g in groups] == [1, 2, 3, 4]
    assert [g.values["penalty.weight"] for g in in_order(groups, "loss_d")] == [3, 4, 1, 2]
    assert main(["compare", "--sort", "loss_d", str(tmp_path), "loss_d"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()[1:5]
    assert [line.split()[0] for line in lines] == ["3", "4", "1", "2"]


def test_csv_has_all_metrics_and_counts_and_is_read_back(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_of(sweep, "none")[0].set_status(State.FAILED, step=3)
    assert main(["compare", str(sweep), "--csv"]) == Exit.OK
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    groups = gp_lab.compare(sweep)
    assert [line["penalty"] for line in lines] == ["none", "one_gp"]
    assert [(line["finished"], line["failed"], line["steps"]) for line in lines] == [
        ("2", "1", "3-4"),
        ("3", "0", "4"),
    ]
    for line, group in zip(lines, groups, strict=True):
        for name, score in group.scores.items():
            assert float(line[f"{name}.mean"]) == score.interval.estimate
            assert float(line[f"{name}.half_width"]) == score.interval.half_width
            assert line[f"{name}.n"] == "3"


def test_the_report_has_the_groups_and_the_values_of_each_seed_that_compare_has(
    make: Make, sweep: Path
) -> None:
    groups = gp_lab.compare(sweep)
    page = Page(write_report(sweep))
    assert len(page.data["groups"]) == len(groups) == 2
    for i, (group, on_page) in enumerate(zip(groups, page.data["groups"], strict=True)):
        runs = [page.data["runs"][run] for run in on_page["runs"]]
        assert page.values(i) == {k: str(v) for k, v in group.values.items()}
        assert [run["path"] for run in runs] == [path.name for path in group.folders]
        assert [run["seed"] for run in runs] == list(map(str, group.seeds))
        for name, score in group.scores.items():
            metric = str(page.data["metrics"].index(name))
            found = mean_interval([run["last"][metric] for run in runs if metric in run["last"]])
            assert found == score.interval


def test_the_report_says_which_runs_belong_to_figures(make: Make, sweep: Path) -> None:
    page = Page(write_report(sweep))
    assert [run["figures"] for run in page.data["runs"]] == [[]] * 6
    for folder in find_runs(sweep):
        config = folder.config
        folder.write_config(config | {"figure": {"id": "zero_gp/fig1"}})
    page = Page(write_report(sweep))
    assert [run["figures"] for run in page.data["runs"]] == [["zero_gp/fig1"]] * 6


def test_where_named_metrics_do_not_fit_the_groups_stand_one_below_the_other(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"curve/quantity_{i}" for i in range(9)]
    for weight in (1, 2):
        lines = [{"step": 10, "curve/w1": weight} | {name: i / 7 for i, name in enumerate(names)}]
        make(f"penalty.weight={weight}", metrics=lines)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", str(tmp_path), *names, "curve/w1"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["penalty.weight 1", "  1 seed, step 10, finished"]
    found = [line.split()[0] for line in lines if line.startswith("  curve/")]
    assert found == [*names, "curve/w1"] * 2
    assert "1 *" in next(line for line in lines if "curve/w1" in line)


def test_long_values_are_shortened_in_the_table_alone_and_stay_apart(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "a" * 60
    for i in range(2):
        folder = make(f"seed={i}", metrics=[{"step": 10, "loss_d": 1.0}])
        dataset = folder.config["dataset"] | {"place": f"{i}{long}", "other": f"{long}{i}{long}"}
        folder.write_config(folder.config | {"dataset": dataset})
    groups = gp_lab.compare(tmp_path)
    head, *lines = cells(groups, ["loss_d"])
    place, other = head.index("dataset.place"), head.index("dataset.other")
    assert [line[place] for line in lines] == [f"{i}{'a' * 14}...{'a' * 14}" for i in range(2)]
    assert [line[other] for line in lines] == [f"{long}{i}{long}" for i in range(2)]
    for form in ("markdown", "latex", "csv"):
        assert main(["compare", str(tmp_path), "--format", form]) == Exit.OK
        shown = capsys.readouterr().out
        assert all(f"{i}{long}" in shown for i in range(2))


def test_markdown_and_latex_escape_what_they_would_obey_and_print_the_best_bold(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("a|b_c*", 1.0), ("50% & $x$ #{~^}\\", 2.0)):
        folder = make(f"seed={value:.0f}", metrics=[{"step": 10, "curve/w1": value}])
        penalty = folder.config["penalty"] | {"kind": name}
        folder.write_config(folder.config | {"penalty": penalty})
    command = ["compare", str(tmp_path), "curve/w1", "--format"]
    assert main([*command, "markdown"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| penalty.kind | seeds | step | state | curve/w1 |"
    assert r"| a\|b\_c\* | 1 | 10 | finished | **1** |" in lines
    assert r"| 50% &amp; \$x\$ #{\~^}\\ | 1 | 10 | finished | 2 |" in lines
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in lines[:4])
    assert main([*command, "latex"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert r"a\textbar{}b\_c* & 1 & 10 & finished & \textbf{1} \\" in lines
    special = r"50\% \& \$x\$ \#\{\textasciitilde{}\textasciicircum{}\}\textbackslash{}"
    assert special + r" & 1 & 10 & finished & 2 \\" in lines
    assert lines[0] == r"\begin{tabular}{lllll}"


def test_the_help_says_the_filters_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command, shown in (
        ("compare", ("KEY=LOW..HIGH", "'steps>=1000'", "--sort -curve/coverage", "--baseline")),
        ("status", ("state=running,queued", "state=lost")),
        ("evaluate", ("dataset=mnist state=finished",)),
    ):
        assert main([command, "--help"]) == Exit.OK
        said = capsys.readouterr().out
        assert all(text in said for text in shown), command


def test_probes_and_comparisons_agree_on_which_way_a_score_is_better() -> None:
    for name in names_in("probe"):
        target = resolve(nodes_of("probe")[name]["_target_"])
        for score, best in target.best.items():
            expected = {"max": HIGHER, "min": LOWER}[best]
            assert better(f"{name}/{score.replace('*', '4')}") == expected


def test_a_correction_is_compared_with_none_by_name(make: Make, tmp_path: Path) -> None:
    make("seed=0", metrics=[{"step": 10, "loss_d": 1.0}])
    make("seed=0", "correction=pcr", metrics=[{"step": 10, "loss_d": 2.0}])
    groups = gp_lab.compare(tmp_path)
    assert [group.values["correction"] for group in groups] == ["none", "pcr"]
