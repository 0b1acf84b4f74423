"""Each room of gp_lab imports only from the rooms above it in DESIGN.md's list."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gp_lab.cli

PACKAGE = Path(gp_lab.cli.__file__).parent
BASE = (
    "errors",
    "extras",
    "machine",
    "terminal",
    "signals",
    "files",
    "overrides",
    "fields",
    "sources",
    "instantiate",
)
ROOMS = (
    "theory", "objectives", "networks", "data", "evaluation", "runs", "tracking", "probes",
    "training", "launching", "figures", "papers", "report", "cli",
)  # fmt: skip
FRONT = ("__init__", "__main__")
"""The package's own face: it may show what is in any room."""


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, inside functions too."""
    here = ("gp_lab", *module.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else ()
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def rooms_used(module: Path) -> Iterator[tuple[int, str]]:
    for line, name in imported(module):
        if name.startswith("gp_lab."):
            yield line, name.split(".")[1]


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_file_of_the_package_is_in_a_room_of_the_list() -> None:
    assert {room_of(module) for module in MODULES} <= {*BASE, *ROOMS, *FRONT}


@pytest.mark.parametrize("room", sorted({room_of(module) for module in MODULES} - {*FRONT}))
def test_a_room_imports_only_from_the_rooms_above_it(room: str) -> None:
    above = BASE[: BASE.index(room)] if room in BASE else (*BASE, *ROOMS[: ROOMS.index(room)])
    files = [module for module in MODULES if room_of(module) == room]
    wrong = [
        f"{module.relative_to(PACKAGE)}:{line} imports gp_lab.{used}"
        for module in files
        for line, used in rooms_used(module)
        if used not in (*above, room)
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others() -> None:
    def name_of(module: Path) -> str:
        parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    known = {name_of(module): module for module in MODULES}
    # Every import runs the package's face too, which shows what is in any room.
    names = {name: module for name, module in known.items() if name != "gp_lab"}
    uses = {
        name: {n for _, full in imported(module) for n in (full, full.rpartition(".")[0])}
        & names.keys() - {name}
        for name, module in names.items()
    }
    assert len(list(TopologicalSorter(uses).static_order())) == len(names)


@pytest.mark.parametrize("room", ["figures", "papers", "report"])
def test_what_reads_run_folders_never_imports_the_trainer(room: str) -> None:
    files = [module for module in MODULES if room_of(module) == room]
    used = {name for module in files for _, name in rooms_used(module)}
    assert "runs" in used  # the search below sees imports
    assert "training" not in used


@pytest.mark.parametrize("module", ["cli.py", "errors.py", "launching/completion.py"])
def test_what_every_command_imports_is_light(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text())
    at_the_top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    heavy = {"torch", "numpy", "scipy", "hydra", "omegaconf", "pydantic", "matplotlib", "wandb"}
    named = {
        name.split(".")[0]
        for node in at_the_top
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert named.isdisjoint(heavy)
    assert named
