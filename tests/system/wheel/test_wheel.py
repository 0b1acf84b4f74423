"""The wheel alone, away from the clone, has configs, plugins and the report's page, and trains."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import CLONE
from lab import PATIENCE, SMALL, environment

from gp_lab.runs.folder import State, find_runs


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    built = subprocess.run([*command, str(CLONE)], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel; what it depends on is this one's.

    This one's site-packages is on the path there, but its .pth files, and with them the clone,
    are not read.
    """
    root = tmp_path_factory.mktemp("venv")
    venv.create(root, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(root)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    return root / "bin" / "python"


def run(python: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in environment(home).items() if k != "PYTHONPATH"}
    return subprocess.run(
        [str(python), *arguments],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_the_wheel_has_the_plugins_the_configs_and_the_page(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    in_clone = [p.relative_to(CLONE) for p in (CLONE / "configs").rglob("*.yaml")]
    assert {f"gp_lab/{path}" for path in in_clone} <= names
    assert "gp_lab/configs/train.yaml" in names
    plugins = (CLONE / "gp_lab" / "launching" / "hydra_plugins").rglob("*.py")
    assert {str(p.relative_to(CLONE / "gp_lab" / "launching")) for p in plugins} <= names
    scripts = ("script/page.js", "vendor/uPlot.iife.min.js")
    report = ("page.html", "page.css", *scripts, "vendor/LICENSE")
    assert {"gp_lab/py.typed", *(f"gp_lab/report/{name}" for name in report)} <= names
    assert not [
        n for n in names if n.startswith(("tests/", "outputs/", "gp_lab/launching/hydra_plugins"))
    ]
    assert not [n for n in names if n.endswith("README.md")]  # their links lead through the clone


def test_every_module_of_the_clone_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = (p.relative_to(CLONE) for p in (CLONE / "gp_lab").rglob("*.py"))
    assert {str(p) for p in modules if "hydra_plugins" not in p.parts} <= names


def test_the_installed_wheel_does_not_see_the_clone(python: Path, tmp_path: Path) -> None:
    script = (
        "import sys, gp_lab, hydra_plugins.gp_lab_plugins as p;"
        "from gp_lab.launching.config_groups import config_folder as c;"
        "print(gp_lab.__file__, p.__file__, c(), *sys.path, sep='\\n')"
    )
    done = run(python, tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr
    package, plugins, configs, *path = done.stdout.split("\n")
    assert Path(configs) == Path(package).parent / "configs"
    assert Path(plugins).parents[2] == Path(package).parents[1]
    # The clone's own .venv may lend its site-packages; what the clone adds to the path may not.
    clones = {str(CLONE), str(CLONE / "gp_lab" / "launching")}
    assert not clones & set(path)
    assert not any(Path(p).is_relative_to(CLONE / "gp_lab") for p in (package, plugins))


def test_the_installed_wheel_trains_a_sweep_from_an_empty_folder(
    python: Path, tmp_path: Path
) -> None:
    sweep = ("train", "-m", *SMALL, "steps=5", "seed=0,1", "hydra/launcher=replicas")
    sweep += ("hydra.launcher.processes=1",)
    done = run(python, tmp_path, "-m", "gp_lab", *sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outputs"]
    runs = list(find_runs(tmp_path / "outputs"))
    assert [(r.state, r.status["step"], r.status["stack"]) for r in runs] == [
        (State.FINISHED, 5, 2)
    ] * 2
    assert {r.status["commit"] for r in runs} == {None}
    page = run(python, tmp_path, "-m", "gp_lab", "report", "outputs")
    assert page.returncode == 0, page.stdout + page.stderr
    assert (tmp_path / "outputs" / "report.html").is_file()
