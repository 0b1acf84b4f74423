"""`key=value` means the same to every command, and `~` the home folder."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import SMALL, config_of, trained

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.instantiate import instantiate
from gp_lab.launching.arguments import parse_arguments
from gp_lab.overrides import quoted
from gp_lab.runs.folder import RunFolder, find_runs
from gp_lab.runs.identity import elsewhere

Refused = Callable[..., str]

# Paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder; the working directory is another."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


TINY = ("architecture.width=8", "threads=1", "tracking=none", "device=cpu", "steps=2")


@pytest.mark.seconds
@pytest.mark.parametrize("written", ["out=~/my runs", "out='~/my runs'", 'out="~/my runs"'])
def test_out_in_the_home_folder_is_meant_by_all_commands(
    written: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *TINY, "probe=[samples]", written]) == Exit.OK
    (run,) = find_runs(home / "my runs")
    assert run.config["out"] == str(home / "my runs")
    assert list(Path().iterdir()) == []
    there = f"~/my runs/runs/{run.path.name}"
    assert main(["resume", there, "steps=3"]) == Exit.OK
    assert main(["sample", there, "-n", "2", "--out", "~/a.png"]) == Exit.OK
    assert (home / "a.png").is_file()
    assert main(["evaluate", there, "probe=modes", "probe.modes.count=500"]) == Exit.OK
    for command in (["compare"], ["status"], ["report"], ["clean"]):
        assert main([*command, "~/my runs"]) == Exit.OK
    assert main(["train", *TINY, "probe=[samples]", written]) == Exit.OK  # it is found there
    assert list(Path().iterdir()) == []
    assert len(gp_lab.load(there).metrics) > 0
    capsys.readouterr()


def test_what_is_made_of_out_is_in_the_home_folder_too(home: Path) -> None:
    config = config_of("out='~/runs'", "probe=[classifier]", base=())
    assert config["probe"]["classifier"]["cache"] == f"{home}/runs/cache"


def test_every_path_of_a_part_may_begin_with_the_home_folder(home: Path) -> None:
    images = home / "my data"
    images.mkdir()
    np.save(images / "train.npy", np.zeros((8, 3, 8, 8), np.uint8))
    (images / "text.txt").write_text("".join(f"{n} of some lines\n" for n in range(18)))
    (images / "a.png").touch()
    (images / "weights.pth").touch()
    for node, key, path in [
        ({"_target_": "gp_lab.data.prepared.ImageArray", "root": "~/my data"}, "root", images),
        (
            {"_target_": "gp_lab.data.pictures.ImageFolder", "root": "~/x", "prepared": "~/y"},
            "prepared",
            home / "y",
        ),
        ({"_target_": "gp_lab.data.cifar.CIFAR10", "root": "~"}, "root", home),
        ({"_target_": "gp_lab.data.digits.MNIST", "root": "~/m"}, "root", home / "m"),
        (
            {"_target_": "gp_lab.probes.scores.InceptionScores", "weights": "~/my data/w"},
            "weights",
            images / "w",
        ),
        (
            {"_target_": "gp_lab.probes.scores.ClassifierScores", "cache": "~/c"},
            "cache",
            home / "c",
        ),
        ({"_target_": "gp_lab.data.text.Text", "root": "~/my data/text.txt"}, "root",
         images / "text.txt"),
    ]:  # fmt: skip
        assert getattr(instantiate(node, "part.of"), key) == str(path)


def test_a_folder_whose_name_begins_with_a_tilde_is_written_with_a_dot(home: Path) -> None:
    assert main(["train", *TINY, "probe=[]", "out='./~'"]) == Exit.OK
    assert len(list(find_runs("./~"))) == 1
    assert not (home / "runs").exists()


def test_ones_own_yaml_is_found_in_the_home_folder(home: Path) -> None:
    (home / "mine" / "penalty").mkdir(parents=True)
    text = "name: mild\n_target_: gp_lab.objectives.penalties.Penalty\nweight: 0.5\n"
    (home / "mine" / "penalty" / "mild.yaml").write_text(text)
    assert main(["train", "--config-dir", "~/mine", *TINY, "probe=[]", "penalty=mild"]) == Exit.OK


# The commands that read a run


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run on a text in a folder whose name needs quotes."""
    place = tmp_path_factory.mktemp("texts")
    (place / "a=b, c [d]").mkdir()
    (place / "a=b, c [d]" / "t.txt").write_text("".join(f"{n} of some lines\n" for n in range(80)))
    trained(
        "dataset=text", f"dataset.root={quoted(str(place / 'a=b, c [d]'))}", "dataset.length=8",
        "architecture=char_cnn", "architecture.characters=null", "architecture.filters=4",
        "architecture.length=8", "architecture.blocks=0", "dataset.held_out=10", "batch_size=4",
        "steps=2", "probe=[]",
        f"out={place / 'out'}", base=("tracking=none", "device=cpu", "threads=1"),
    )  # fmt: skip
    return place


@pytest.fixture
def text_run(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    shutil.copytree(texts, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    (run,) = find_runs("out")
    return run


@pytest.mark.parametrize(
    "command",
    [["resume", "steps=3"], ["sample", "-n", "2"],
     ["evaluate", "probe=ngrams", "probe.ngrams.count=8"]],
    ids=lambda words: words[0],
)  # fmt: skip
@pytest.mark.parametrize("written", ["'a=b, c [d]'", '"a=b, c [d]"', r"a\=b\, c \[d\]"])
def test_where_the_data_lie_is_read_alike(
    command: list[str], written: str, text_run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *words = command
    assert main([verb, str(text_run.path), f"dataset.root={written}", *words]) == Exit.OK
    capsys.readouterr()
    assert main([verb, str(text_run.path), "dataset.root=a=b, c [d]", *words]) == Exit.BAD_INPUT
    assert "cannot be read as key=value" in capsys.readouterr().err


def test_elsewhere_takes_values_and_no_words_of_its_own() -> None:
    config: dict[str, Any] = {
        "dataset": {
            "root": "a",
            "download": False,
            "source": {"root": "a", "prepared": "p", "download": False},
        }
    }
    words = ["dataset.root='b c'", "dataset.source.prepared=null", "dataset.download=true"]
    moved = elsewhere(config, words)["dataset"]
    assert moved["root"] == moved["source"]["root"] == "b c"
    assert moved["source"]["prepared"] is None
    assert moved["download"] is moved["source"]["download"] is True
    assert elsewhere(config, ["dataset.source.prepared='null'"])["dataset"]["source"][
        "prepared"
    ] == "null"  # fmt: skip


@pytest.mark.parametrize("verb", ["resume", "sample", "evaluate"])
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("trust=3", "trust=3: not a package"),
        ("trust=[a,[b]]", "not the name of a package"),
        ("trust=a.b", "trust=a.b: not the name of a package"),
        ("trust", "trust: not an override"),
        ("dataset.root=a,b", "dataset.root=a,b: several values"),
        ("+dataset.root=a", "+dataset.root=a: write key=value, without +"),
        ("~dataset.root", "~dataset.root: write key=value, without +"),
        ("dataset.size=3", "dataset.size=3: of a run's data only the place can change"),
        ("seed=3", "seed=3: "),
        ("steps.x=3", "steps.x=3: "),
        ("dataset.root=", "must not be empty"),
        ("dataset.root=5", "dataset.root=5: not a text"),
    ],
)
def test_a_wrong_word_after_a_run_is_refused_by_all(
    verb: str, word: str, says: str, text_run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["probe=ngrams"] if verb == "evaluate" else []
    assert main([verb, str(text_run.path), word, *more]) == Exit.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.seconds
@pytest.mark.parametrize("trust", ["trust=own_loss", "trust=[own_loss]", "trust='own_loss'"])
def test_one_package_or_a_list_is_trusted_by_all(
    trust: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_loss.py").write_text(
        "from gp_lab.objectives.losses import Hinge\nclass Mine(Hinge): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    own = ["loss._target_=own_loss.Mine", trust, "probe=[]"]
    assert main(["train", *TINY, *own]) == Exit.OK
    (run,) = find_runs("outputs")
    assert run.config["trust"] == ["own_loss"]
    assert main(["resume", str(run.path), "steps=3", trust]) == Exit.OK
    assert main(["sample", str(run.path), trust]) == Exit.OK
    evaluation = ["probe=modes", "probe.modes.count=500"]
    assert main(["evaluate", str(run.path), trust, *evaluation]) == Exit.OK


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("steps=\N{SUPERSCRIPT TWO}", "cannot be read"),
        ("steps=1e400", "steps=inf: not a whole number"),
        ("steps=1e3", "steps=1000.0: not a whole number"),
        ("steps=0x10", "steps=0x10: not a whole number"),
        ("steps='3'", "steps=3: not a whole number"),
        ("steps=-1", "steps=-1: must be at least 1"),
        ("steps=", "steps=: not a whole number"),
        ("steps=null", "steps=null: not a whole number"),
        ("steps=[3]", "not a whole number"),
        (f"steps={10**15}", f"steps={10**15}: must be at most"),
        ("steps=1_", "steps=1_: not a whole number"),
    ],
)
def test_a_number_of_steps_is_what_it_is_in_training(
    word: str, says: str, text_run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["resume", str(text_run.path)], ["train", *SMALL]):
        assert main([*command, word]) == Exit.BAD_INPUT
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line
    assert text_run.config["steps"] == 2


def test_digits_may_be_grouped_for_all(text_run: RunFolder) -> None:
    assert main(["resume", str(text_run.path), "steps=1_0"]) == Exit.OK
    assert text_run.config["steps"] == 10


@pytest.mark.seconds
def test_compare_selects_by_values_as_they_are_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1, 2):
        trained(f"seed={seed}", "probe=[]", "optimizer.betas=[0.5,0.9]", base=TINY)

    def seeds(*words: str) -> list[int]:
        return [seed for group in gp_lab.compare("outputs", list(words)) for seed in group.seeds]

    assert seeds("seed=1") == seeds("seed='1'") == [1]
    assert seeds("seed=0,2") == seeds("seed=range(0,3,2)") == [0, 2]
    assert seeds("penalty.weight=1e1") == seeds("penalty.weight=10.0") == [0, 1, 2]
    assert seeds("optimizer.betas=[0.5,0.9]") == seeds("optimizer.betas=[0.5, 0.9]") == [0, 1, 2]
    assert seeds("penalty='one_gp'", "figure.id=null") == [0, 1, 2]
    assert seeds("average=0,1", "seed=3") == []
    for wrong in ("+seed=1", "~seed", "seed", "seed=[0", "seed=interval(0,1)"):
        with pytest.raises(BadInput):
            seeds(wrong)


# Figures


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Two entries are all there are; the names of those that were made."""
    made: list[str] = []
    monkeypatch.setattr(
        "gp_lab.launching.config_groups.figure_ids", lambda _=None: ["mu_wgan/lemma1", SMALLEST]
    )
    monkeypatch.setattr("gp_lab.cli._made", lambda plan: made.append(plan.name) or Exit.OK)
    return made


SMALLEST = "wgan_gp/fig5b"


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scale=smoke", "penalty.wieght=1"], "penalty.wieght"),
        (["scale=smoke", "steps=-1"], "mu_wgan/lemma1: steps=-1: mu_wgan/lemma1 is a calculation"),
        (["scale=nope"], "mu_wgan/lemma1: scale=nope: no such choice"),
        (["scale=smoke", "out=a_file"], "out=a_file: cannot write there"),
        (["scale=smoke", "out=['x"], "cannot be read"),
        (["scale=smoke", "out"], "out: not an override"),
        (["-m"], "-m: gp-lab figure takes overrides"),
    ],
)
def test_what_is_wrong_for_any_figure_is_found_before_the_first_one_starts(
    words: list[str], says: str, planned: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    assert main(["figures", *words]) == Exit.BAD_INPUT
    assert says in capsys.readouterr().err
    assert planned == []


@pytest.mark.seconds
@pytest.mark.parametrize("written", ["out='my runs'", "out=my runs", "out=~/my runs"])
def test_all_figures_take_out_as_it_is_written_elsewhere(
    written: str, planned: list[str], home: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    root = (home if "~" in written else home.parent / "work") / "my runs"
    assert main(["figures", "scale=smoke", written]) == Exit.OK
    assert planned == ["mu_wgan/lemma1", SMALLEST]
    assert f"report: {root / 'report.html'}" in capsys.readouterr().out


def test_quotes_around_a_data_set_take_no_verdict_away() -> None:
    (override,) = parse_arguments(["dataset='mnist'"]).overrides
    assert override == "dataset=mnist"


@pytest.mark.seconds
def test_the_command_that_a_figure_records_can_be_pasted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    words = ["mu_wgan/lemma1", "scale=smoke", "figure.settings.rhos=[1, 2]", "out=my runs"]
    assert main(["figure", *words]) == Exit.OK
    (path,) = Path("my runs").rglob("claims.json")
    command = json.loads(path.read_text())["command"]
    assert shlex.split(command)[:3] == ["gp-lab", "figure", "mu_wgan/lemma1"]
    assert "figure.settings.rhos=[1, 2]" in shlex.split(command)
