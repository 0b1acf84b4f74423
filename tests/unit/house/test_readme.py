"""What the READMEs say holds: commands compose, links and paths lead somewhere, examples run."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from helpers import CLONE
from own_entry import CODE, FILE

from gp_lab.cli import COMMANDS, main
from gp_lab.errors import Exit
from gp_lab.instantiate import instantiate
from gp_lab.launching.arguments import parse_arguments
from gp_lab.launching.asked import is_sweep
from gp_lab.launching.compose import compose, hydra_session, sweep_of
from gp_lab.probes.base import Probe
from gp_lab.runs.folder import State, find_runs
from gp_lab.runs.identity import Config
from gp_lab.training.setup import KINDS

ROOMS = ("configs", "gp_lab", "scripts", "tests")
PAGES = {
    str(path.relative_to(CLONE)): path.read_text()
    for path in (CLONE / "README.md", *sorted(p for r in ROOMS for p in (CLONE / r).rglob("*.md")))
}
"""Path -> text of every README that is written by hand."""

LARGEST = 12_000
"""Bytes of the first page."""

PLACEHOLDERS = ("RUN", "PATH", "OUTPUTS", "NAME", "my_package", "my_lab", "mine", "...")
"""Words in a command or path that stand for something of the reader's own."""

OTHERS = {"compare", "figures", "list", "status", "clean", "doctor", "report", "wandb-sync",
          "wandb-view"}  # fmt: skip
"""Commands that are not composed here."""

SHELL = {"eval", "export", "source"}
"""Words of a shell that a block may have beside commands."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


SCRIPTS = [(page, block) for page, text in PAGES.items() for block in blocks(text, "sh")]


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def commands() -> Iterator[tuple[str, list[str]]]:
    """(text, words after `gp-lab`) of each command in a block, or alone between backticks."""
    lines = [line for _, block in SCRIPTS for line in block.splitlines()]
    found = [match[1] for line in lines if (match := re.search(r"(?:^|\b)gp[-_]lab (.+)", line))]
    for text in PAGES.values():
        found += re.findall(r"`gp-lab ([a-z]+ [^`]+)`", without_blocks(text))
    for text in dict.fromkeys(found):
        if not text.startswith("-sc"):
            yield text, shlex.split(text, comments=True)


def is_placeholder(text: str) -> bool:
    text = text.replace("method.mine=", "")  # which is a name
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in PLACEHOLDERS)


def refuse_what_cannot_be_built(config: Config) -> None:
    for group, kind in KINDS.items():
        instantiate(config[group], group, (), kind)
    for name, node in config["probe"].items():
        instantiate(node, f"probe.{name}", (), Probe)


def train(words: list[str]) -> None:
    args = parse_arguments(words)
    with hydra_session() as hydra:
        configs = (
            [job.config for job in sweep_of(hydra, args.overrides).jobs]
            if is_sweep(hydra, args)
            else [compose(hydra, args.overrides)]
        )
    for config in configs:
        refuse_what_cannot_be_built(config)


def figure(words: list[str]) -> None:
    assert main(["figure", *words, "--cfg", "job"]) == Exit.OK


COMPOSES: dict[str, Callable[[list[str]], None]] = {"train": train, "figure": figure}

COMPOSED = [
    text
    for text, (command, *words) in commands()
    if command in COMPOSES and not is_placeholder(" ".join(words))
]


@pytest.mark.seconds
@pytest.mark.parametrize("text", COMPOSED)
def test_a_command_of_a_readme_composes_and_its_parts_can_be_built(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *words = shlex.split(text, comments=True)
    COMPOSES[command](words)
    assert list(tmp_path.iterdir()) == []  # nothing was trained


def test_no_command_of_a_readme_is_passed_over_in_silence() -> None:
    assert len(COMPOSED) >= 20
    for text, (command, *words) in commands():
        assert command in COMMANDS, text
        assert text in COMPOSED or command in OTHERS or is_placeholder(" ".join(words)), text


@pytest.mark.parametrize(("page", "block"), SCRIPTS, ids=[page for page, _ in SCRIPTS])
def test_a_block_of_commands_is_shell_and_what_it_calls_is_there(page: str, block: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
    assert checked.stderr == ""
    makefile = (CLONE / "Makefile").read_text()
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", makefile, re.M), line
        elif words[:1] == ["python"]:
            assert (CLONE / words[1]).is_file(), line
        else:
            assert not words or words[0] in SHELL or re.search(r"gp[-_]lab ", line), line


def test_commands_stand_in_blocks() -> None:
    for page, text in PAGES.items():
        assert not re.findall(r"^ {4}.*", without_blocks(text), re.M), page


def test_the_first_page_is_short() -> None:
    assert len(PAGES["README.md"].encode()) <= LARGEST


def anchors(text: str) -> set[str]:
    """The fragments that lead to the headings of a page, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", without_blocks(text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_of_a_readme_lead_somewhere(page: str) -> None:
    text = without_blocks(PAGES[page])
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, fragment = link.partition("#")
        target = (CLONE / page).parent / path if path else CLONE / page
        assert target.is_file(), link
        assert target.resolve().is_relative_to(CLONE), link
        assert not fragment or fragment in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_readme_names_are_there(page: str) -> None:
    text = without_blocks(PAGES[page])
    for path in re.findall(rf"`((?:{'|'.join(ROOMS)}|outputs/reference)/[\w./-]*)", text):
        assert (CLONE / path).exists() or is_placeholder(path), path
    for name in re.findall(r"`(\w+\.(?:py|sh))(?=[`:])", text):
        assert any((CLONE / page).parent.rglob(name)), name


def test_every_room_is_reached_from_the_first_page() -> None:
    reached, ahead = set(), ["README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        for link in re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", PAGES[page]):
            path = ((CLONE / page).parent / link).resolve()
            if (near := str(path.relative_to(CLONE))) in PAGES and near not in reached:
                ahead.append(near)
    assert reached == set(PAGES)


def faults() -> Iterator[tuple[str, list[str]]]:
    """(fault, what its last cell has between backticks) of each row of the table of faults."""
    table = re.search(r"^\| fault \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGES["tests/README.md"], re.M)
    assert table
    for row in table[1].splitlines():
        fault, *_, tests = row.strip("| ").split(" | ")
        yield fault, re.findall(r"`([^`]+)`", tests)


FAULTS = dict(faults())


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_table_is_a_test(fault: str) -> None:
    """`test_file.py::test_name`, then others of that file; `...` stands for a part of a name."""
    known: list[str] = []
    assert "::" in FAULTS[fault][0]
    for name in FAULTS[fault]:
        file, _, test = name.rpartition("::")
        if file:
            (path,) = (CLONE / "tests").rglob(file)
            known = re.findall(r"^def (test_\w+)", path.read_text(), re.M)
        pattern = re.escape(test).replace(r"\.\.\.", r"\w*")
        assert any(re.fullmatch(pattern, one) for one in known), name


def test_no_fault_is_lost() -> None:
    assert len(FAULTS) >= 50


def test_the_entry_that_the_page_of_the_papers_shows_is_the_one_that_is_tested() -> None:
    page = PAGES["gp_lab/papers/README.md"]
    assert blocks(page, "yaml")[-1] == FILE
    assert blocks(page, "python") == [CODE]


@pytest.mark.seconds
def test_the_penalty_of_the_first_page_trains_from_a_folder_outside_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_own_penalty(tmp_path) <= 24
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (text,) = (text for text, _ in commands() if "train --config-dir=my_configs 'trust" in text)
    small = ["steps=2", "probe.curve.count=50", "seed=0,1", "hydra.launcher.processes=1"]
    words = [*shlex.split(text), *small, "tracking=none", "compile=never"]
    assert main(words) == Exit.OK
    found = list(find_runs(tmp_path / "mine"))
    names = sorted(
        yaml.safe_load((r.path / "config.yaml").read_text())["penalty"]["name"] for r in found
    )
    assert names == ["beyond", "beyond", "one_gp", "one_gp"]
    assert {run.state for run in found} == {State.FINISHED}
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


def write_own_penalty(folder: Path) -> int:
    """Writes the package and the configs that the first page shows; how many lines they have."""
    page, lines = PAGES["README.md"], 0
    for text in [*blocks(page, "python"), *blocks(page, "yaml")]:
        path = folder / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        lines += len([line for line in text.splitlines() if line])
    return lines


@pytest.mark.seconds
@pytest.mark.parametrize("entry", ["lipschitz/sec32", "zero_gp/alg1", "anomalous/thm3"])
def test_the_penalty_of_the_first_page_stands_beside_the_papers_in_a_figure(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_own_penalty(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (text,) = (text for text, _ in commands() if "method.mine" in text and "my_package" in text)
    command, _, *words = shlex.split(text)
    small = ["scale=smoke", "tracking=none", "threads=1", "hydra.launcher.processes=1"]
    assert main([command, entry, *words, *small]) == Exit.OK
    (folder,) = Path("outputs", "figures", entry).iterdir()
    assert re.fullmatch(r"smoke-method\.mine=penalty=beyond.*", folder.name)
    summary = json.loads((folder / "claims.json").read_text())
    assert summary["methods"] == {"mine": ["penalty=beyond", "penalty.reach=0.25"]}
    assert {one["method"] for one in summary["comparisons"]} == {"mine"}
    assert not [claim for claim in summary["claims"] if "mine" in claim["text"]]
    own = [r.config["penalty"] for r in find_runs(Path("outputs")) if "beyond" in r.path.name]
    assert own
    assert {(penalty["name"], penalty["reach"]) for penalty in own} == {("beyond", 0.25)}
    said = capsys.readouterr().out
    assert "  mine: penalty=beyond, penalty.reach=0.25" in said
    assert "the paper's best" in said
    assert main(["report", "outputs"]) == Exit.OK
    (page,) = Path("outputs").glob("*.html")
    assert "<b>mine</b>: penalty=beyond, penalty.reach=0.25" in page.read_text()
    assert page.read_text().count("the paper&#39;s best") == len(summary["comparisons"])
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


@pytest.mark.seconds
def test_the_experiment_that_a_page_shows_trains_with_a_penalty_and_data_from_outside_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (experiment,) = blocks(PAGES["gp_lab/launching/README.md"], "yaml")
    penalty = blocks(PAGES["README.md"], "yaml")[0]
    files = {
        "my_package/penalties.py": blocks(PAGES["README.md"], "python")[0],
        "my_lab/configs/experiment/mine.yaml": experiment,
        "my_lab/configs/penalty/beyond.yaml": penalty,
        "my_lab/configs/dataset/mine.yaml": (
            "defaults: [swiss_roll, _self_]\nname: mine\nsize: 500\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (text,) = (t for t, words in commands() if "experiment=mine" in t and words[0] == "train")
    small = ["steps=2", "probe.curve.count=50", "seed=0,1", "hydra.launcher.processes=1"]
    tiny = ["architecture.width=4", "tracking=none", "compile=never"]
    assert main([*shlex.split(text), *small, *tiny]) == Exit.OK
    found = [run.config for run in find_runs(tmp_path / "outputs")]
    assert sorted((c["penalty"]["weight"], c["seed"]) for c in found) == [
        (weight, seed) for weight in (1, 10, 100) for seed in (0, 1)
    ]
    assert {(c["penalty"]["name"], c["dataset"]["name"]) for c in found} == {("beyond", "mine")}
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


def written(page: str, folder: Path) -> str:
    """Writes the files that a page shows of a package and its configs; the command that trains."""
    for text in [*blocks(PAGES[page], "python"), *blocks(PAGES[page], "yaml")]:
        (name,) = re.findall(r"^# (my_\S+)$", text, re.M)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (text,) = (
        line
        for block in blocks(PAGES[page], "sh")
        for line in block.splitlines()
        if "gp-lab train 'trust=[my_package]'" in line
    )
    return text.removeprefix("gp-lab ")


@pytest.mark.parametrize(
    ("page", "small", "written_by"),
    [
        ("gp_lab/data/README.md", ["probe.samples.count=20", "probe.curve.count=20"], "curve"),
        ("gp_lab/training/README.md", ["hydra.launcher.processes=1", "probe=[]"], ""),
        ("gp_lab/networks/README.md", ["probe.modes.count=20"], "modes"),
        ("gp_lab/probes/README.md", ["architecture.width=8"], "center"),
    ],
)
def test_the_part_of_ones_own_that_a_page_shows_trains(
    page: str, small: list[str], written_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = written(page, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [*shlex.split(command), *small, "steps=2", "tracking=none", "compile=never"]
    assert main(words) == Exit.OK
    found = find_runs(tmp_path / "outputs")
    assert {run.state for run in found} == {State.FINISHED}
    if "-m" in words:
        assert (len(found), {run.status["stack"] for run in found}) == (12, {12})
    else:
        assert all(found[0].array_steps(probe) for probe in ("samples", written_by))
        assert main(["sample", str(found[0].path), "trust=my_package"]) == Exit.OK
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "page", ["gp_lab/papers/zero_gp/README.md", "gp_lab/papers/wgan_gp/README.md"]
)
def test_a_papers_page_tells_the_verdicts_that_are_kept(page: str) -> None:
    (kept,) = re.findall(r"(outputs/reference/\S+/claims\.json)", PAGES[page])
    claims = json.loads((CLONE / kept).read_text())["claims"]
    told = re.findall(r"^\| (.*?) \| \**([a-z ]+?)\** \|", PAGES[page], re.MULTILINE)
    wanted = [(c["text"].replace("*", "\\*"), c["verdict"]) for c in claims]
    assert [row for row in told if row in wanted] == wanted  # python scripts/reference.py outputs


SHOWN = re.compile(r"outputs/reference/(\S+?)/figure\.png.*\| (.*?) \|$", re.MULTILINE)


def test_the_first_page_counts_verdicts_as_they_came_out() -> None:
    rows = SHOWN.findall(PAGES["README.md"])
    assert len(rows) == 5
    for place, said in rows:
        path = CLONE / "outputs" / "reference" / place / "claims.json"
        found = [claim["verdict"] for claim in json.loads(path.read_text())["claims"]]
        words = {"supported": "supported", "not supported": "not", "inconclusive": "open"}
        counts = [f"{found.count(v)} {word}" for v, word in words.items() if found.count(v)]
        assert said.removeprefix("in miniature ") == ", ".join(counts)
