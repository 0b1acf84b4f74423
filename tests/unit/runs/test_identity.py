"""Which run a config describes: what its hash depends on, and what it does not."""

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from helpers import node_of, nodes_of
from omegaconf import OmegaConf

from gp_lab.cli import main
from gp_lab.errors import Exit
from gp_lab.fields import PathText
from gp_lab.instantiate import resolve
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.launching.config_groups import choices, config_folder, groups
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import (
    CHECKED,
    NOT_IDENTITY,
    NOT_IDENTITY_OF_PROBES,
    PLACES,
    Config,
    folder_of,
    is_checked,
    run_hash,
    run_id,
    setting_id,
    with_digest,
    without_data,
)
from gp_lab.runs.settings import Groups, Settings

WHAT_IS_COMPUTED = {
    "dataset", "architecture", "loss", "penalty", "constraint", "correction", "optimizer",
    "schedule", "probe", "seed", "steps", "batch_size", "d_steps", "g_steps", "average",
    "precision",
}  # fmt: skip
HOW_AND_WHERE = {
    "tracking", "figure", "scale", "panel", "label", "log_every", "checkpoint_every", "keep_every",
    "keep_best", "device", "compile", "threads", "batch_norm", "out", "force", "trust", "hydra",
}  # fmt: skip


@pytest.fixture(scope="module")
def config() -> Config:
    with hydra_session() as hydra:
        return compose(hydra, [])


OF_RUNS_THAT_THERE_ARE = {
    "circles": "946b3f29d8d8",
    "eight_gaussians": "dcb46b38186d",
    "four_masses": "4d9707386c5b",
    "four_points": "890d32e3d794",
    "mixture": "6d2ebf3b7c10",
    "point_masses": "b6277e30fce3",
    "random_points": "a3c06b26c6dd",
    "repeated_ring": "80bf585e56d1",
    "s_curve": "5afbf5074ab7",
    "swiss_roll": "bb072174b725",
    "twenty_five_gaussians": "11d925f01bd9",
    "two_gaussians": "c01f8f6847fe",
    "uniform_square": "1818e367d9bf",
    "uniform_squares": "68f6a9e0deeb",
    "vertical_line": "5966ae4f8586",
}
"""Data set -> the hash of its default run; runs in folders that people have go by them."""

OF_RUNS_ON_PUBLISHED_FILES = {
    "cifar10": "d986c1156f79",
    "fashion_mnist": "8e30ea0bacbc",
    "mnist": "f80271e32810",
    "mnist_1000": "c4fe7503b5ce",
    "stacked_mnist": "f0bad4d81541",
}

OF_RUNS_WITHOUT_A_DIGEST = {
    "celeba": "b7bd62e16217",
    "image_array": "302d07f9dff2",
    "image_folder": "debd9b99c20d",
    "imagenet": "98e0dc33212f",
    "lsun": "6100db396538",
    "mnist_5k": "81cd15b14c3e",
    "python_topics": "5c77544a753e",
    "text": "71d867cd5b02",
}
"""Older runs, by which they are found until their data have been looked at."""


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list) and node:
        for i, value in enumerate(node):
            yield from leaves(value, (*path, i))
    else:
        yield path


def changed(config: Config, path: tuple[str | int, ...]) -> Config:
    """The config with another value at one leaf."""
    other = copy.deepcopy(config)
    node: Any = other
    for step in path[:-1]:
        node = node[step]
    old = node[path[-1]]
    if isinstance(old, bool):
        node[path[-1]] = not old
    elif isinstance(old, int | float):
        node[path[-1]] = old + 0.5
    else:
        node[path[-1]] = "another"
    return other


def test_every_key_of_train_yaml_is_either_computed_with_or_not() -> None:
    train = yaml.safe_load((config_folder() / "train.yaml").read_text())
    keys = set(train) - {"defaults"} | {*groups(), "hydra"}
    assert keys == WHAT_IS_COMPUTED | HOW_AND_WHERE
    assert not WHAT_IS_COMPUTED & HOW_AND_WHERE
    fields = {*get_type_hints(Settings), *get_type_hints(Groups)}
    assert fields == keys


def test_a_path_of_a_part_is_a_key_of_which_it_is_known_that_it_tells_no_runs_apart() -> None:
    def paths(group: str) -> set[str]:
        """The keys of all parts of a group that are paths."""
        texts = [(config_folder() / group / f"{name}.yaml").read_text() for name in choices(group)]
        classes = {resolve(path) for text in texts for path in re.findall(r"_target_: (\S+)", text)}
        hints = [get_type_hints(c.__init__, include_extras=True) for c in classes]  # type: ignore[misc]
        return {k for of in hints for k, hint in of.items() if hint in (PathText, PathText | None)}

    assert {"root", "prepared"} <= paths("dataset") <= PLACES
    assert {"cache", "weights"} <= paths("probe") <= NOT_IDENTITY_OF_PROBES


def test_the_hash_changes_with_every_value_that_is_computed_with(config: Config) -> None:
    paths = [path for path in leaves(config) if path[0] in WHAT_IS_COMPUTED and path[-1] != "name"]
    assert {path[0] for path in paths} == WHAT_IS_COMPUTED
    hashes = {run_hash(changed(config, path)) for path in paths} | {run_hash(config)}
    assert len(hashes) == len(paths) + 1


def test_the_hash_does_not_change_with_how_and_where_a_run_is_made(config: Config) -> None:
    paths = [path for path in leaves(config) if path[0] in HOW_AND_WHERE]
    assert {path[0] for path in paths} == HOW_AND_WHERE - {"hydra"}
    assert {run_hash(changed(config, path)) for path in paths} == {run_hash(config)}
    assert NOT_IDENTITY == HOW_AND_WHERE


def test_names_are_for_people_and_do_not_tell_runs_apart(config: Config) -> None:
    for group in ("dataset", "loss", "penalty", "architecture"):
        renamed = copy.deepcopy(config)
        renamed[group]["name"] = "another"
        assert run_hash(renamed) == run_hash(config)
    for group in groups():
        for choice in choices(group) if group not in ("probe", "figure") else ():
            text = yaml.safe_load((config_folder() / group / f"{choice}.yaml").read_text())
            assert text["name"] == choice


def test_a_whole_number_is_the_same_run_as_an_integer(config: Config) -> None:
    ten, also_ten = copy.deepcopy(config), copy.deepcopy(config)
    ten["penalty"]["weight"], also_ten["penalty"]["weight"] = 10, 10.0
    assert run_hash(ten) == run_hash(also_ten)


def test_the_order_of_keys_does_not_matter(config: Config) -> None:
    backwards = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(config.items())
    }
    assert list(backwards) != list(config)
    assert run_hash(backwards) == run_hash(config)


@pytest.mark.seconds
def test_every_process_gives_a_run_the_same_id(config: Config) -> None:
    code = (
        "from gp_lab.launching.compose import compose, hydra_session\n"
        "from gp_lab.runs.identity import run_id\n"
        "with hydra_session() as hydra: print(run_id(compose(hydra, [])))"
    )
    ids = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert ids == {run_id(config)}


def test_the_id_can_be_read(config: Config) -> None:
    assert run_id(config) == f"eight_gaussians-wasserstein-one_gp-s0-{run_hash(config)}"
    clipped = config | {"constraint": {"name": "clipping"}, "seed": 3}
    assert run_id(clipped).startswith("eight_gaussians-wasserstein-one_gp-clipping-s3-")


def test_a_setting_is_what_runs_of_several_seeds_share(config: Config) -> None:
    assert setting_id(config) == setting_id(config | {"seed": 7})
    assert setting_id(config).startswith("eight_gaussians-wasserstein-one_gp-")
    assert setting_id(config) != setting_id(config | {"batch_size": 7})
    assert setting_id(config) == setting_id(config | {"tracking": {"name": "mine"}})


def test_a_run_whose_class_is_not_its_files_is_named_after_the_class() -> None:
    with hydra_session() as hydra:
        usual = compose(hydra, ["loss=hinge"])
        own = compose(
            hydra, ["penalty._target_=my_package.penalties.MyPenalty", "trust=[my_package]"]
        )
        same = compose(hydra, [f"penalty._target_={usual['penalty']['_target_']}"])
    assert own["penalty"]["name"] == "MyPenalty"
    assert run_id(own) == f"eight_gaussians-wasserstein-MyPenalty-s0-{run_hash(own)}"
    called_otherwise = own | {"penalty": own["penalty"] | {"name": "one_gp"}}
    assert run_hash(own) == run_hash(called_otherwise)  # runs that there are keep their folders
    assert same["penalty"]["name"] == "one_gp"


def with_dataset(config: Config, name: str, **changes: Any) -> str:
    """The hash of a run with another data set, some of its keys changed."""
    node = OmegaConf.merge(nodes_of("dataset")[name], changes)
    return run_hash(config | {"dataset": OmegaConf.to_container(node, resolve=True)})


HASHES = OF_RUNS_THAT_THERE_ARE | OF_RUNS_ON_PUBLISHED_FILES | OF_RUNS_WITHOUT_A_DIGEST


@pytest.mark.parametrize("name", HASHES)
def test_runs_that_there_are_keep_the_hash_that_they_had(name: str) -> None:
    with hydra_session() as hydra:
        points = "surface" in compose(hydra, [f"dataset={name}"])["probe"]
        then = [f"probe=[{'surface,' * points}samples]", "architecture=mlp", "steps=10000"]
        assert run_hash(compose(hydra, [f"dataset={name}", *then])) == HASHES[name]


@pytest.mark.parametrize("name", OF_RUNS_WITHOUT_A_DIGEST)
def test_a_digest_takes_the_place_of_where_data_lie(name: str) -> None:
    with hydra_session() as hydra:
        config = compose(hydra, [f"dataset={name}"])
    one, other = (with_digest(config, letter * 32) for letter in "ab")
    assert len({run_hash(c) for c in (config, one, other)}) == 3
    assert run_hash(with_digest(one, None)) == run_hash(config)
    assert len({without_data(c) for c in (config, one, other)}) == 1
    if "root" in config["dataset"]:
        moved = copy.deepcopy(one)
        moved["dataset"]["root"] = "/elsewhere"
        for node in (moved["dataset"], moved["dataset"].get("source", {})):
            node |= {k: "/elsewhere" for k in ("root", "prepared") if k in node}
        assert run_hash(moved) == run_hash(one)
        assert without_data(moved) == without_data(config)
    bigger = one | {"dataset": one["dataset"] | {"size": 10}}
    assert run_hash(bigger) != run_hash(one)
    assert without_data(bigger) != without_data(one)


def test_every_data_set_whose_place_does_not_count_compares_checksums() -> None:
    texts = nodes_of("dataset")
    from_files = {name: text for name, text in texts.items() if "root" in text}
    checked = {n: t["source"] for n, t in from_files.items() if is_checked(t)}
    small = {"fashion_mnist_16"}
    published = {"cifar10", "fashion_mnist", "mnist", "mnist_1000", "stacked_mnist"}
    assert set(checked) == published | small
    assert all(source["checksum"] is True for source in checked.values())
    assert {source["_target_"] for source in checked.values()} == CHECKED
    others = {name for name, text in from_files.items() if name not in checked}
    with_a_digest = {name for name, text in texts.items() if "digest" in text}
    digits = {"mnist_5k", "mnist_5k_16", "stacked_mnist_5k", "stacked_mnist_5k_16"}
    of_packages = digits | {"python_topics"}
    assert with_a_digest == others | of_packages
    assert all(texts[name]["digest"] is None for name in with_a_digest)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", {"root": "/a"}),
        ("mnist", {"download": True}),
        ("mnist_1000", {"source": {"root": "/a"}}),
        ("cifar10", {"root": "/a"}),
        ("fashion_mnist", {"root": "/a"}),
    ],
)
def test_a_published_data_set_makes_the_same_run_wherever_it_lies(
    config: Config, name: str, place: dict[str, Any]
) -> None:
    assert with_dataset(config, name, **place) == with_dataset(config, name)


@pytest.mark.parametrize("name", ["celeba", "mnist"])
def test_whether_files_may_be_downloaded_tells_no_runs_apart(config: Config, name: str) -> None:
    unchecked = {"checksum": False} if name == "mnist" else {}
    fetched = {"source": unchecked | {"download": True}, "download": True}
    assert with_dataset(config, name, **fetched) == with_dataset(config, name, source=unchecked)


def test_what_is_in_a_published_data_set_still_tells_runs_apart(config: Config) -> None:
    names = ("cifar10", "fashion_mnist", "mnist", "mnist_1000", "stacked_mnist")
    assert len({with_dataset(config, name) for name in names}) == len(names)
    assert with_dataset(config, "mnist", size=10) != with_dataset(config, "mnist")
    cut = {"crop": 100}
    assert with_dataset(config, "celeba", source=cut) != with_dataset(config, "celeba")


@pytest.mark.parametrize(
    "name",
    ["image_array", "image_folder", "text", "billion_word", "celeba", "lsun", "imagenet",
     "imagenet_32", "m_imagenet"],
)  # fmt: skip
def test_files_that_nobody_looked_at_are_told_apart_by_where_they_lie(
    config: Config, name: str
) -> None:
    assert with_dataset(config, name, root="/a") != with_dataset(config, name, root="/b")


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_files_that_are_not_checked_are_told_apart_by_where_they_lie(
    config: Config, name: str
) -> None:
    unchecked = {"checksum": False}
    of_one = with_dataset(config, name, source=unchecked, root="/a")
    assert of_one != with_dataset(config, name, source=unchecked, root="/b")
    assert of_one != with_dataset(config, name)


def test_a_name_alone_makes_no_published_set_of_a_folder(config: Config) -> None:
    node = node_of("dataset", "image_folder") | {"name": "mnist"}
    of_two = [run_hash(config | {"dataset": node | {"root": root}}) for root in ("/a", "/b")]
    assert of_two[0] != of_two[1]


def test_a_run_is_found_under_another_name_and_keeps_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", "architecture.width=8", "threads=1", "tracking=none", "probe=[]", "steps=3"]
    assert main(command) == Exit.OK
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    identity = RunFolder(folder).status["id"]
    assert identity == folder.name
    config = RunFolder(folder).config
    moved = folder.with_name(f"the-good-one-{run_hash(config)}")
    folder.rename(moved)
    assert folder_of(config) == Path("outputs/runs") / moved.name
    assert main(command) == Exit.OK
    assert list(moved.parent.iterdir()) == [moved]
    assert RunFolder(moved).status["id"] == identity
    shutil.move(moved, tmp_path / "elsewhere")
    assert main(["resume", "elsewhere", "steps=4"]) == Exit.OK
    assert RunFolder(tmp_path / "elsewhere").status["id"] == identity
    assert RunFolder(tmp_path / "elsewhere").status["step"] == 4


@pytest.mark.seconds
def test_run_folders_can_be_read_where_yaml_has_no_c_parser(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 3\n")
    code = (
        "import sys, yaml; del yaml.CSafeLoader; yaml.__with_libyaml__ = False;"
        " from gp_lab.runs.folder import RunFolder; print(RunFolder(sys.argv[1]).config)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert said.stdout == "{'seed': 3}\n", said.stderr
