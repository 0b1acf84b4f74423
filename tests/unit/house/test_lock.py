"""requirements.lock pins all that the package asks for but PyTorch, and each file by its hash."""

import re
import tomllib

from helpers import CLONE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TORCH = {"torch", "torchvision"}
LOCK = (CLONE / "requirements.lock").read_text()
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ;[^\\]*)?(?: \\)?$", re.M)


def pins() -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall(LOCK)}


def asked() -> list[Requirement]:
    """What a clone installs: the dependencies, and those of the extra `dev` and of its extras."""
    project = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    words, found = ["dev"], [Requirement(word) for word in project["dependencies"]]
    while words:
        for one in map(Requirement, extras[words.pop()]):
            words += one.extras if one.name == "gp-lab" else ()
            found += [one] if one.name != "gp-lab" else []
    return found


def test_all_that_a_clone_installs_is_pinned_but_pytorch() -> None:
    pinned = pins()
    wanted = {canonicalize_name(one.name): one for one in asked()}
    assert {"cvxpy", "pot", "pytest", "hatchling"} <= set(wanted)
    for name, one in wanted.items():
        if name not in TORCH:
            assert one.specifier.contains(pinned[name]), one
    foreign = [n for n in pinned if n in TORCH or n.startswith(("nvidia-", "cuda-", "triton"))]
    assert foreign == []
    assert set(wanted) >= TORCH


def test_every_line_of_the_lock_is_a_pin_or_a_hash_and_each_pin_has_hashes() -> None:
    names_no_place = r"(--hash=sha256:[0-9a-f]{64}( \\)?)"
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(blocks) == len(pins())
    for block in blocks:
        first, *hashes = block.splitlines()
        assert PIN.fullmatch(first), first
        assert hashes, first
        assert all(re.fullmatch(names_no_place, line.strip()) for line in hashes), first


def test_pytorch_is_pinned_once_within_what_the_package_asks_for() -> None:
    (line,) = re.findall(r"^TORCH +\?= (.*)$", (CLONE / "Makefile").read_text(), re.M)
    of_package = {one.name: one for one in asked() if one.name in TORCH}
    pinned = [Requirement(word) for word in line.split()]
    assert {one.name for one in pinned} == TORCH
    for one in pinned:
        (version,) = one.specifier
        assert version.operator == "=="
        assert of_package[one.name].specifier.contains(version.version)
