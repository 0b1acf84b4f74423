"""`gp-lab compare`: the runs of a sweep in groups, over their seeds."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from compared import Make, group_of, runs_of
from compared import make as make
from compared import sweep as sweep
from compared import trained as trained
from lab import values
from report_page import Page, assert_self_contained
from scipy import stats

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.report.page import write_report
from gp_lab.runs.compare_table import cells, table
from gp_lab.runs.folder import RunFolder, State
from gp_lab.runs.metrics import TAIL_BYTES, Value, last_values


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compare", *arguments]) == Exit.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("gp-lab: ")


# -- groups --------------------------------------------------------------------------------


def test_the_runs_of_a_sweep_are_grouped_by_what_was_swept_but_the_seed(sweep: Path) -> None:
    groups = gp_lab.compare(sweep)
    assert [group.values for group in groups] == [{"penalty": "none"}, {"penalty": "one_gp"}]
    for group in groups:
        assert group.seeds == (0, 1, 2)
        assert group.states == {State.FINISHED: 3}
        assert group.steps == (4, 4)


def test_a_key_inside_a_choice_is_shown_if_it_differs_for_the_same_choice(
    make: Make, tmp_path: Path
) -> None:
    for weight in (1, 10, 100):
        make("penalty=zero_gp", f"penalty.weight={weight}")
    make("penalty=one_gp", "penalty.weight=3")
    make("penalty=one_gp", "penalty.weight=3", "penalty.center=0.5")
    assert [group.values for group in gp_lab.compare(tmp_path)] == [
        {"penalty": "one_gp", "penalty.weight": 3, "penalty.center": 0.5},
        {"penalty": "one_gp", "penalty.weight": 3, "penalty.center": 1},
        {"penalty": "zero_gp", "penalty.weight": 1, "penalty.center": 0},
        {"penalty": "zero_gp", "penalty.weight": 10, "penalty.center": 0},
        {"penalty": "zero_gp", "penalty.weight": 100, "penalty.center": 0},
    ]


def test_what_the_config_takes_from_another_key_is_not_shown_beside_it(
    make: Make, tmp_path: Path
) -> None:
    for width in (8, 16):
        folder = make(f"architecture.width={width}")
        assert folder.config["architecture"]["generator"]["width"] == width
    found = [group.values for group in gp_lab.compare(tmp_path)]
    assert found == [{"architecture.width": 8}, {"architecture.width": 16}]


def test_settings_that_were_swept_together_are_all_shown(make: Make, tmp_path: Path) -> None:
    make("loss=vanilla", "penalty=none", "optimizer.lr=0.01")
    make("loss=wasserstein", "penalty=one_gp", "optimizer.lr=0.02")
    found = gp_lab.compare(tmp_path)
    assert [set(group.values) for group in found] == [{"loss", "penalty", "optimizer.lr"}] * 2


def test_keys_that_change_no_number_split_no_group(make: Make, tmp_path: Path) -> None:
    make("seed=0", "device=cpu", "probe=[surface,samples]")
    make(
        "seed=1",
        "device=auto",
        "log_every=7",
        "checkpoint_every=3",
        "probe=[surface,samples,modes]",
    )
    folder = make("seed=2", "probe.surface.points=9", "probe.surface.every=5")
    folder.write_config(folder.config | {"label": "lr0.1", "panel": None})
    (group,) = gp_lab.compare(tmp_path)
    assert (group.values, group.seeds) == ({}, (0, 1, 2))


def test_fids_of_two_precisions_are_not_of_one_kind(make: Make, tmp_path: Path) -> None:
    for seed, precision in enumerate(("fp32", "fp32", "bf16")):
        words = (
            "dataset=mnist",
            "probe=[surface,samples,inception]",
            f"probe.inception.precision={precision}",
        )
        make(f"seed={seed}", *words, metrics=[{"step": 1, "inception/fid": 20.0 + seed}])
    (group,) = gp_lab.compare(tmp_path)
    assert len(group.scores["inception/fid"].settings) == 2


def test_runs_of_one_seed_that_differ_in_their_probes_are_one_with_the_numbers_of_both(
    make: Make, tmp_path: Path
) -> None:
    first = [{"step": 10, "loss_d": 1.0, "modes/w1": 3.0}]
    make("probe=[surface,samples,modes]", metrics=first)
    make(step=20, metrics=[{"step": 20, "loss_d": 2.0, "samples/a": 4.0}])
    (group,) = gp_lab.compare(tmp_path)
    assert (group.seeds, group.steps) == ((0,), (20, 20))
    found = {name: score.interval.estimate for name, score in group.scores.items()}
    assert found == {"loss_d": 2.0, "modes/w1": 3.0, "samples/a": 4.0}


def test_the_runs_of_figures_are_left_out_and_counted_unless_they_are_asked_for(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make("penalty=none")
    for weight in (1, 2):
        folder = make("penalty=one_gp", f"penalty.weight={weight}")
        figure = folder.config["figure"] | {"id": f"zero_gp/fig{weight}"}
        folder.write_config(folder.config | {"figure": figure, "panel": "a"})

    def runs(*words: str) -> int:
        assert main(["compare", str(tmp_path), *words]) == Exit.OK
        shown = capsys.readouterr().out
        said = "2 runs of figures left out; --figures shows all, figure=PAPER/ITEM those of one"
        assert (said in shown) == (not words)
        return int(re.search(r"^(\d+) runs? in", shown, re.M)[1])  # type: ignore[index]

    assert runs() == 1
    assert runs("--figures") == 3
    assert runs("figure=zero_gp/fig1") == runs("figure.id=zero_gp/fig1") == 1
    assert runs("figure~zero_gp") == 2
    assert runs("figure=none") == runs("figure.id=null") == 1
    found = gp_lab.compare(tmp_path)
    assert (len(found), found.left_out) == (1, 2)
    assert "2 runs of figures left out" in str(found)
    assert len(gp_lab.compare(tmp_path, figures=True)) == 3
    assert refused(capsys, str(tmp_path), "penalty=one_gp").endswith(
        "no others there; 2 runs of figures left out; --figures shows all, figure=PAPER/ITEM"
        " those of one"
    )


def test_a_second_folder_of_a_run_does_not_count_as_another_seed(sweep: Path) -> None:
    run = runs_of(sweep, "one_gp")[1]
    copied = RunFolder(shutil.copytree(run.path, sweep / "copied"))
    copied.set_status(State.RUNNING, step=2)
    with pytest.warns(UserWarning, match=f"copied: left out, {run.path} is the same run"):
        group = group_of(sweep, "one_gp")
    assert set(group.folders) == {r.path for r in runs_of(sweep / "runs", "one_gp")}


def test_runs_are_selected_by_what_their_configs_say(make: Make, tmp_path: Path) -> None:
    make("dataset=swiss_roll", "penalty.weight=10.0")
    make("dataset=eight_gaussians", "penalty.weight=10.0")
    make("dataset=eight_gaussians", "penalty.weight=2.5")

    def selected(*only: str) -> int:
        return sum(len(group.folders) for group in gp_lab.compare(tmp_path, only))

    assert selected("dataset=eight_gaussians") == 2
    assert selected("dataset=eight_gaussians", "penalty.weight=10") == 1
    assert selected("figure.id=null", "penalty.weight=2.50") == 1
    assert selected("dataset=mnist") == 0
    with pytest.raises(BadInput, match=r"penalty\.wieght: no such key.* did you mean weight\?"):
        selected("penalty.wieght=1")


# -- numbers -------------------------------------------------------------------------------


def test_a_score_is_the_mean_of_the_last_values_and_their_t_interval(sweep: Path) -> None:
    for penalty in ("none", "one_gp"):
        group = group_of(sweep, penalty)
        runs = runs_of(sweep, penalty)
        for name in ("loss_d", "gradient_norm", "held_out/accuracy_held_out", "surface/slope_mean"):
            last = np.array([values(run, name)[-1] for run in runs])
            half = stats.t.ppf(0.975, 2) * stats.sem(last)
            interval = group.scores[name].interval
            assert interval.estimate == pytest.approx(last.mean(), rel=1e-12)
            assert interval.half_width == pytest.approx(half, rel=1e-9, abs=1e-12)
            assert (interval.n, group.scores[name].steps) == (3, (4, 4))


def test_a_diverged_run_is_counted_and_not_averaged(sweep: Path) -> None:
    first, *others = runs_of(sweep, "one_gp")
    first.append_metrics([{"step": 3, "loss_d": 1e30}])
    first.set_status(State.DIVERGED, step=3)
    group = group_of(sweep, "one_gp")
    assert group.states == {State.FINISHED: 2, State.DIVERGED: 1}
    assert (len(group.seeds), group.counted, group.steps) == (3, 2, (4, 4))
    expected = np.mean([values(run, "loss_d")[-1] for run in others])
    assert group.scores["loss_d"].interval.estimate == pytest.approx(expected)
    assert "2 finished, 1 diverged" in table([group])
    for run in others:
        run.set_status(State.DIVERGED)
    assert group_of(sweep, "one_gp").scores == {}


def test_runs_at_different_steps_are_said_to_be(sweep: Path) -> None:
    ahead = runs_of(sweep, "none")[2]
    ahead.append_metrics([{"step": 6, "loss_d": 1.0}])
    ahead.set_status(State.RUNNING, step=6)
    group = group_of(sweep, "none")
    assert (group.steps, group.scores["loss_d"].steps) == ((4, 6), (4, 6))
    (line,) = [x for x in table([group]).splitlines() if "4-6" in x]
    assert "2 finished, 1 running" in line


def test_a_score_that_some_runs_lack_or_have_of_another_step_says_so(
    make: Make, tmp_path: Path
) -> None:
    for seed, last in enumerate([5, 10, None]):
        lines = [{"step": last, "held_out/a": 0.96}] if last else []
        make(f"seed={seed}", metrics=[*lines, {"step": 10, "loss_d": 2.0}])
    text = table(gp_lab.compare(tmp_path), ["held_out/a", "loss_d"]).splitlines()[1]
    assert text.endswith("0.96 +- 0 (n=2, step 5-10)  2 +- 0")


def test_a_mean_of_one_has_no_interval_and_an_absent_score_is_a_dash(
    make: Make, tmp_path: Path
) -> None:
    make("penalty=one_gp", metrics=[{"step": 10, "loss_d": 2.5}])
    make("penalty=zero_gp")
    head, one, other = cells(gp_lab.compare(tmp_path), ["loss_d"])
    assert head == ["penalty", "seeds", "step", "state", "loss_d"]
    assert one == ["one_gp", "1", "10", "finished", "2.5"]
    assert other == ["zero_gp", "1", "10", "finished", "-"]


def test_a_nan_is_left_out_of_the_mean_and_an_infinite_value_has_none(
    make: Make, tmp_path: Path
) -> None:
    nan, infinite = float("nan"), float("inf")
    for seed, (a, b) in enumerate([(1.0, 1.0), (3.0, infinite), (nan, 2.0)]):
        make(f"seed={seed}", metrics=[{"step": 10, "loss_d": a, "loss_g": b}])
    (group,) = gp_lab.compare(tmp_path)
    assert (group.scores["loss_d"].interval.estimate, group.scores["loss_d"].interval.n) == (2.0, 2)
    assert np.isnan(group.scores["loss_g"].interval.estimate)
    assert "(n=2)" in table([group])


def test_evaluations_count_and_the_newest_of_the_furthest_step_wins(sweep: Path) -> None:
    runs = runs_of(sweep, "one_gp")
    for run in runs:
        command = ["evaluate", str(run.path), "probe=[held_out]", "probe.held_out.count=33"]
        assert main(command) == Exit.OK
    found = [run.evaluations()[-1]["scores"]["accuracy_train"] for run in runs]
    trained = [values(run, "held_out/accuracy_train")[-1] for run in runs]
    assert found != trained
    assert "measured with different settings: held_out/" in table(gp_lab.compare(sweep))
    data = Page(write_report(sweep)).data
    metric = str(data["metrics"].index("held_out/accuracy_train"))
    assert len({i for group in data["groups"] for i in group["settings"][metric]}) == 2
    assert "different settings" not in table([group_of(sweep, "one_gp")])
    runs[0].append_evaluations([{"step": 2, "probe": "held_out", "scores": {"accuracy_train": 9}}])
    score = group_of(sweep, "one_gp").scores["held_out/accuracy_train"]
    assert score.interval.estimate == pytest.approx(np.mean(found))
    assert score.steps == (4, 4)
    for run in runs:
        run.append_evaluations([{"step": 4, "probe": "inception", "scores": {"fid": 31.5}}])
    assert group_of(sweep, "one_gp").scores["inception/fid"].interval.estimate == 31.5


def test_a_probe_that_wrote_long_ago_is_found_in_a_long_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"step": 0, "modes/hit": 3.0}, {"step": 1, "modes/hit": 5, "loss_d": 0}])
    folder.append_metrics([{"step": i, "loss_d": 1.0 * i} for i in range(5000)])
    metrics = tmp_path / "metrics.jsonl"
    assert metrics.stat().st_size > 2 * TAIL_BYTES
    with metrics.open("a") as file:
        file.write('{"step": 5000, "modes/hit": 4')  # as a kill leaves it
    expected = {"loss_d": Value(4999, 4999.0), "modes/hit": Value(1, 5.0)}
    assert last_values(metrics, ["modes", "surface"]) == expected


@pytest.mark.parametrize("lines", [2, 5000])
def test_what_was_nan_in_a_probes_newest_line_is_not_taken_from_an_older_one(
    lines: int, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"step": 0, "inception/fid": 30.0, "inception/score": 2.0}])
    folder.append_metrics([{"step": 1, "inception/score": 1.0}])  # NaN is left out of a line
    folder.append_metrics([{"step": i, "loss_d": 1.0} for i in range(2, lines)])
    found = last_values(tmp_path / "metrics.jsonl", ["inception"])
    assert {k: v for k, v in found.items() if k != "loss_d"} == {"inception/score": Value(1, 1.0)}


# -- strangers and mistakes ----------------------------------------------------------------


def test_names_from_a_stranger_are_spelt_out_in_terminal_csv_and_page(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "evil\x1b[2J\n<script>alert(1)</script>"
    folder = make("seed=0", metrics=[{"step": 10, f"modes/{evil}": 1.0, "modes/b": 10**400}])
    folder.write_config(folder.config | {evil: 1, "penalty": {"name": evil}})
    make("seed=1")
    for option in ([], ["--csv"]):
        assert main(["compare", str(tmp_path), *option]) == Exit.OK
        shown = capsys.readouterr().out
        assert r"evil\x1b[2J\n<script>" in shown
        assert "\x1b" not in shown
    assert main(["compare", str(tmp_path), "x\x1b[2J"]) == Exit.BAD_INPUT
    assert "\x1b" not in capsys.readouterr().err
    page = Page(path := write_report(tmp_path))
    assert_self_contained(page)
    assert page.values(0)["penalty"] == page.config(0)["penalty"]
    shown = r"evil\x1b[2J\n<script>alert(1)</script>"
    assert shown in {page.values(i)["penalty"] for i in range(2)}
    assert f"modes/{shown}" in page.data["metrics"]
    assert "<script>" not in path.read_text()


@pytest.mark.parametrize(
    "config",
    [
        "- a list\n",
        "seed: 1\n",
        "[" * 30_000,
        "dataset: {}\nprobe: 3\n",
        "dataset: {}\n1: 2\na: 3\n",
    ],
    ids=["list", "bare", "deep", "probe", "keys"],
)
def test_a_damaged_run_is_left_out_with_a_warning(config: str, sweep: Path) -> None:
    broken = runs_of(sweep, "none")[0]
    (broken.path / "config.yaml").write_text(config)
    with pytest.warns(UserWarning, match=f"{broken.path}: left out"):
        groups = gp_lab.compare(sweep)
    assert [group.seeds for group in groups] == [(1, 2), (0, 1, 2)]


def test_a_run_whose_status_is_damaged_has_failed(sweep: Path) -> None:
    (runs_of(sweep, "none")[0].path / "status.json").write_text("{")
    group = group_of(sweep, "none")
    assert group.states == {State.FINISHED: 2, State.FAILED: 1}


def test_bad_input_is_one_sentence_with_the_choices(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = str(sweep)
    for arguments in (["los_d"], ["--sort", "-los_d"], ["loss_d", "los_d", "--csv"]):
        sentence = refused(capsys, root, *arguments)
        key = "--sort" if "--sort" in arguments else "metric"
        assert sentence.startswith(f"{key}=los_d: no such choice; choose from f_fake, f_real,")
        assert sentence.endswith("did you mean loss_d?")
    assert refused(capsys, root, "penalty=zero_gp").endswith(
        "penalty=zero_gp: no run has it; there is penalty=none,one_gp"
    )
    assert refused(capsys, root, "steps>=x").startswith("steps>=x: x is no number")
    assert refused(capsys, root, "state=done").startswith("state=done: no such choice; choose")
    assert refused(capsys, root, "--format=md").startswith("--format=md: no such choice; choose")
    assert refused(capsys, root, "--csv", "--format", "latex").startswith("--csv --format latex:")
    assert "did you mean penalty?" in refused(capsys, root, "penaltie=none")
    assert refused(capsys, "nowhere").startswith("nowhere: no such folder")
    assert "unrecognized arguments: --cvs" in refused(capsys, root, "--cvs")
    (tmp_path / "empty").mkdir()
    assert refused(capsys, "empty") == "empty: no runs there"
    with pytest.raises(BadInput, match="no such folder"):
        gp_lab.compare("nowhere")
    sweep.rename(tmp_path / "outputs")
    assert main(["compare", "loss_d"]) == Exit.OK
    assert "loss_d" in capsys.readouterr().out.splitlines()[0]
