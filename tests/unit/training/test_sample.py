"""`gp-lab sample` and what `gp_lab.load` gives: pictures of images and points, lines of text."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import config_of, trained
from PIL import Image

import gp_lab
from gp_lab.cli import main
from gp_lab.data.images import Images
from gp_lab.data.random import generator
from gp_lab.data.sources import loaded
from gp_lab.errors import BadInput, Exit
from gp_lab.probes.pictures import GAP, grid_picture
from gp_lab.runs.folder import RunFolder
from gp_lab.training.load import LoadedRun

SIDE, CLASSES = 8, 3
BASE = ("tracking=none", "threads=1", "device=cpu", "steps=2", "batch_size=4", "penalty=none")

NETS = '''
import torch
from torch import nn

class Generator(nn.Module):
    """Brightness is the class: dark, grey, bright."""
    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, z, labels=None):
        level = z.mean(1) if labels is None else labels.to(z.dtype) - 1
        return (level + self.shift)[:, None, None, None].expand(-1, 1, 8, 8).tanh()

class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.slope * x.mean((1, 2, 3))
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with grey images of three classes, networks of its own, and a text."""
    home = tmp_path_factory.mktemp("sample")
    (home / "sample_nets.py").write_text(NETS)
    images = np.random.default_rng(0).integers(0, 256, (30, 1, SIDE, SIDE), dtype=np.uint8)
    np.save(home / "train.npy", images)
    np.save(home / "train_labels.npy", np.arange(30) % CLASSES)
    (home / "text.txt").write_text("".join(f"line number {i}\n" for i in range(20)))
    group = home / "configs" / "architecture"
    group.mkdir(parents=True)
    for name, classes in (("plain", 0), ("conditional", CLASSES)):
        (group / f"{name}.yaml").write_text(
            f"name: {name}\nlatent: {{_target_: gp_lab.data.latent.Normal, dim: 5}}\n"
            f"generator: {{_target_: sample_nets.Generator, classes: {classes}}}\n"
            "discriminator: {_target_: sample_nets.Discriminator}\n"
        )
    return home


@pytest.fixture(scope="module")
def made(home: Path) -> Callable[..., RunFolder]:
    """Trains a run of two steps with these overrides; its folder."""

    def make(*overrides: str) -> RunFolder:
        out = home / "out"
        before = set((out / "runs").glob("*")) if out.exists() else set()
        own = f"--config-dir={home / 'configs'}"
        assert main(["train", own, *BASE, f"out={out}", *overrides]) == Exit.OK
        (path,) = set((out / "runs").glob("*")) - before
        return RunFolder(path)

    return make


IMAGES = ("dataset=image_array", f"dataset.source.image_size={SIDE}", "dataset.source.channels=1")


@pytest.fixture(scope="module", autouse=True)
def own_networks(home: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield


@pytest.fixture(scope="module")
def plain(home: Path, made: Callable[..., RunFolder]) -> RunFolder:
    return made(*IMAGES, f"dataset.root={home}", "architecture=plain", "trust=[sample_nets]")


@pytest.fixture(scope="module")
def conditional(home: Path, made: Callable[..., RunFolder]) -> RunFolder:
    return made(*IMAGES, f"dataset.root={home}", "architecture=conditional", "trust=[sample_nets]")


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained("steps=2", f"out={tmp_path_factory.mktemp('points')}")


def sampled(capsys: pytest.CaptureFixture[str], folder: RunFolder, *flags: str) -> Path:
    """The file that the command says it wrote."""
    capsys.readouterr()
    assert main(["sample", str(folder.path), "trust=sample_nets", *flags]) == Exit.OK
    return Path(capsys.readouterr().out.strip())


def tiles(path: Path, rows: int, columns: int) -> np.ndarray:
    """The images of a picture [rows, columns, h, w, 3]."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    height, width = ((n - GAP) // k for n, k in zip(pixels.shape, (rows, columns), strict=False))
    assert pixels.shape == (rows * height + GAP, columns * width + GAP, 3)
    grid = pixels[GAP:, GAP:].reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return grid[:, :, : height - GAP, : width - GAP]


def test_a_grid_holds_the_generators_samples_as_bytes_pixel_by_pixel(
    plain: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sampled(capsys, plain, "-n", "6", "--seed", "3")
    assert path == plain.path / "samples" / "samples-step2-seed3.png"
    run = gp_lab.load(plain.path, trust=("sample_nets",))
    assert isinstance(run.setup.dataset, Images)
    expected = run.setup.dataset.to_bytes(run.sample(6, seed=3)).numpy()
    shown = tiles(path, 2, 3).reshape(6, 64, 64, 3)
    np.testing.assert_array_equal(shown[:, ::8, ::8, 0], expected[:, 0])
    assert (shown == shown[..., :1]).all()
    assert len(np.unique(expected)) > 3


def test_a_row_of_a_conditional_generator_is_of_one_class(
    conditional: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tiles(sampled(capsys, conditional, "--kind", "classes", "-n", "4"), CLASSES, 4)
    levels = rows.mean((2, 3, 4))
    assert (np.ptp(levels, axis=1) == 0).all()
    assert (np.diff(levels[:, 0]) > 50).all()


def test_classes_can_be_chosen_in_python_and_are_random_otherwise(conditional: RunFolder) -> None:
    run = gp_lab.load(conditional.path, trust=("sample_nets",))
    assert run.classes == CLASSES
    chosen = run.sample(3, labels=[2, 0, 1]).mean((1, 2, 3))
    assert chosen.argsort().tolist() == [1, 2, 0]
    by_hand = run.generator(torch.zeros(3, 5), torch.tensor([2, 0, 1]))
    torch.testing.assert_close(run.sample(3, labels=[2, 0, 1]), by_hand)
    assert len(set(run.sample(50).mean((1, 2, 3)).round(decimals=3).tolist())) == CLASSES
    for labels in ([0, 1], [0, 1, 3], [-1, 0, 1]):
        with pytest.raises(BadInput, match="labels: 3 classes from 0 to 2 wanted"):
            run.sample(3, labels=labels)


def test_an_interpolation_goes_straight_from_one_latent_to_another(
    plain: RunFolder, points: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (plain, points):
        run = gp_lab.load(folder.path, trust=("sample_nets",))
        lines = run.interpolate(3, points=5, seed=1)
        assert lines.shape[:2] == (3, 5)
        rng = generator(1, "sample", 0)
        start, end = run.setup.latent.draw(rng, 6).chunk(2)
        for k in range(5):
            at = run.generator(start + k / 4 * (end - start)).detach()
            torch.testing.assert_close(lines[:, k], at, rtol=1e-5, atol=1e-5)
    path = sampled(capsys, plain, "--kind", "interpolation", "-n", "3", "--points", "5")
    assert tiles(path, 3, 5).shape[:2] == (3, 5)
    assert sampled(capsys, points, "--kind", "interpolation", "-n", "2").stat().st_size > 1000


def test_a_line_of_a_conditional_generator_stays_in_one_class(conditional: RunFolder) -> None:
    run = gp_lab.load(conditional.path, trust=("sample_nets",))
    lines = run.interpolate(6, points=4, labels=[0, 1, 2, 0, 1, 2]).mean((2, 3, 4))
    assert (np.ptp(lines.numpy(), axis=1) == 0).all()
    assert (lines[:3].diff(dim=0) > 0.1).all()


def test_the_same_seed_gives_the_same_samples_and_another_gives_others(points: RunFolder) -> None:
    run = gp_lab.load(points.path)
    assert torch.equal(run.sample(9, seed=4), run.sample(9, seed=4))
    assert not torch.equal(run.sample(9, seed=4), run.sample(9, seed=5))


@pytest.mark.parametrize("kind", ["samples", "interpolation"])
def test_a_seed_is_what_it_is_in_training(
    points: RunFolder, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 2**63 - 1):
        path = sampled(capsys, points, "--kind", kind, "-n", "2", "--seed", str(seed))
        assert path.name == f"{kind}-step2-seed{seed}.png"


def test_reals_are_drawn_for_latents_that_follow_them_alone(
    points: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("reals were drawn")

    run = gp_lab.load(points.path)
    monkeypatch.setattr(type(run.setup.dataset), "draw", refuse)
    assert run.sample(9).shape == (9, 2)
    assert run.interpolate(2, points=3).shape == (2, 3, 2)
    monkeypatch.undo()
    noisy = trained("architecture=noisy_data", "g_steps=0", "steps=2", f"out={tmp_path}")
    assert gp_lab.load(noisy.path).sample(9).shape == (9, 2)


@pytest.mark.seconds
def test_a_run_whose_data_lie_elsewhere_now_is_sampled_evaluated_and_resumed(
    home: Path, made: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    for name in ("train.npy", "train_labels.npy"):
        shutil.copy(home / name, there)
    folder = made(
        *IMAGES, f"dataset.root={there}", "architecture=plain", "trust=[sample_nets]", "seed=7"
    )
    before, status = folder.config, folder.status
    there.rename(here)
    path, trust, place = str(folder.path), "trust=sample_nets", f"dataset.root={here}"
    commands = (
        ["sample", path, "trust=sample_nets", "-n", "4"],
        ["evaluate", path, "probe=gradients", trust],
        ["resume", path, "steps=3", trust],
    )
    for command in commands:
        loaded.cache_clear()  # as in a process of its own
        assert main(command) == Exit.BAD_INPUT
        assert f"dataset.root={there}: no train.npy" in capsys.readouterr().err
        assert main([*command, place]) == Exit.OK
        assert main([*command, "dataset.pixels=zero_one"]) == Exit.BAD_INPUT
        said = capsys.readouterr().err
        assert "dataset.pixels=zero_one: of a run's data only the place can change" in said
        assert "dataset.root=..., dataset.source.root=..., dataset.digest=any" in said
    assert folder.config == before | {"steps": 3}
    assert (folder.status["id"], folder.status["step"]) == (status["id"], 3)
    assert gp_lab.load(folder.path, trust=("sample_nets",), data=(place,)).step == 3


@pytest.mark.seconds
def test_a_package_of_ones_own_is_trusted_in_one_way_by_all_commands(
    made: Callable[..., RunFolder], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(*IMAGES, f"dataset.root={home}", "architecture=plain", "trust=[sample_nets]",
                  "seed=5")  # fmt: skip
    commands = (["sample", "-n", "1"], ["evaluate", "probe=gradients"], ["resume", "steps=3"])
    for name, *more in commands:
        command = [name, str(folder.path), *more]
        capsys.readouterr()
        assert main(command) == Exit.BAD_INPUT
        assert "(add trust=[sample_nets] on the command line" in capsys.readouterr().err
        assert main([*command, "trust=[another]"]) == Exit.BAD_INPUT
        assert main([*command, "trust=[sample_nets]"]) == Exit.OK


def test_arrays_of_a_probe_that_was_not_there_name_those_that_were(points: RunFolder) -> None:
    with pytest.raises(BadInput) as refusal:
        gp_lab.load(points.path).arrays("surfac")
    assert str(refusal.value) == (
        f"{points.path}: probe=surfac: no such choice; choose from samples, surface; did you mean"
        " surface?"
    )


def test_a_loaded_run_is_one_line_on_the_terminal(points: RunFolder) -> None:
    assert repr(gp_lab.load(points.path)) == f"LoadedRun({str(points.path)!r}, step=2)"


def test_points_of_the_plane_are_drawn_among_reals(
    points: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sampled(capsys, points, "--out", str(tmp_path / "plane.png"))
    assert path == tmp_path / "plane.png"
    with Image.open(path) as picture:
        colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert {(230, 159, 0), (0, 114, 178)} <= colours


def test_texts_are_written_line_by_line(
    home: Path, made: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(
        "dataset=text", f"dataset.root={home / 'text.txt'}", "dataset.length=16",
        "architecture=char_cnn", "architecture.length=16", "architecture.filters=4",
        "architecture.characters=21",
    )  # fmt: skip
    path = sampled(capsys, folder, "-n", "5")
    assert path.name == "samples-step2-seed0.txt"
    run = gp_lab.load(folder.path)
    lines = path.read_text().splitlines()
    assert lines == run.setup.dataset.decode(run.sample(5))
    assert [len(line) for line in lines] == [16] * 5
    rows = sampled(capsys, folder, "--kind", "interpolation", "-n", "2", "--points", "3")
    assert [len(line) for line in rows.read_text().splitlines()] == [16] * 3 + [0] + [16] * 3
    kept = folder.arrays("samples")
    assert kept["real"].shape == kept["fake"].shape == (1000,)
    assert set(kept["real"]) <= {f"line number {i}".ljust(16, "`") for i in range(20)}


def test_the_samples_probe_keeps_images_as_the_bytes_that_they_stand_for(plain: RunFolder) -> None:
    arrays = plain.arrays("samples")
    for part in ("real", "fake"):
        assert arrays[part].shape == (1000, 1, SIDE, SIDE)
        assert arrays[part].dtype == np.uint8
    trained_on = np.load(Path(plain.config["dataset"]["root"]) / "train.npy")
    known = {image.tobytes() for image in trained_on}
    assert {image.tobytes() for image in arrays["real"]} <= known
    (picture,) = gp_lab.load(plain.path, trust=("sample_nets",)).setup.probes[
        "samples"
    ].pictures(arrays).values()  # fmt: skip
    np.testing.assert_array_equal(picture, grid_picture(arrays["fake"][:64]))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-n", "0"], "-n 0: must be at least 1"),
        (["-n", "many"], "-n many: not a whole number"),
        (["-n", "2.5"], "-n 2.5: not a whole number"),
        (["-n", "\N{SUPERSCRIPT TWO}"], "-n \N{SUPERSCRIPT TWO}: not a whole number"),
        (["-n", "9" * 20], f"-n {'9' * 20}: must be at most 100000000"),
        (["-n", "9" * 5000], "not a whole number"),
        (["-n", "100000000", "--kind", "interpolation", "--points", "100000000"], "too large for"),
        (["--seed", "-1"], "--seed -1: must be at least 0"),
        (["--seed", str(2**63)], f"--seed {2**63}: must be at most {2**63 - 1}"),
        (["--step", "1e400"], "--step 1e400: not a whole number"),
        (["--step", str(10**30)], f"--step {10**30}: must be at most"),
        (["--points", "0x10"], "--points 0x10: not a whole number"),
        (["--kind", "classes"], "--kind classes: the generator of architecture=plain takes no"),
        (["--kind", "gird"], "--kind=gird: no such choice; choose from classes"),
        (["--points", "1"], "--points 1: a line has two ends"),
        (["--step", "7"], "no checkpoint at step 7, only at [2]"),
        (["--out", "x.jpg"], "--out x.jpg: a .png file is written"),
        (["--out", "nowhere/x.png"], "nowhere/x.png: cannot write there"),
        (["--nope"], "unrecognized arguments: --nope"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_sampled_is_refused_in_one_sentence(
    plain: RunFolder, flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    command = ["sample", str(plain.path), "trust=sample_nets", *flags]
    assert main(command) == Exit.BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert sentence in said[0]


def test_a_folder_without_a_run_or_a_checkpoint_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(tmp_path / "nowhere")]) == Exit.BAD_INPUT
    assert "nowhere: no run there (it has no config.yaml)" in capsys.readouterr().err
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.create(config_of(f"out={tmp_path}"), "run")
    assert main(["sample", str(folder.path)]) == Exit.BAD_INPUT
    assert "the run has no checkpoint yet" in capsys.readouterr().err
    for without_run in ([], ["-n", "3"], ["dataset.root=/data"]):
        assert main(["sample", *without_run]) == Exit.BAD_INPUT
        said = capsys.readouterr().err
        assert said.startswith("gp-lab: sample: which run? write gp-lab sample RUN [-n 64]")


def test_samples_that_are_neither_images_nor_points_nor_texts_stay_in_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(
        "steps=2", "dataset=point_masses", "dataset.distribution.points=[[0,0,0],[1,1,1]]",
        "architecture.generator.outputs=3", "architecture.discriminator.inputs=3", "probe=[]",
        f"out={tmp_path}", base=("tracking=none", "threads=1", "device=cpu"),
    )  # fmt: skip
    run = gp_lab.load(folder.path)
    assert isinstance(run, LoadedRun)
    assert run.sample(3).shape == (3, *run.setup.dataset.shape)
    assert main(["sample", str(folder.path)]) == Exit.BAD_INPUT
    assert "gp_lab.load(run).sample gives them in Python" in capsys.readouterr().err


@pytest.mark.parametrize(("channels", "shown"), [(1, 10), (2, 15), (3, None), (4, 25)])
def test_any_number_of_channels_can_be_seen(channels: int, shown: int | None) -> None:
    levels = np.arange(1, channels + 1, dtype=np.uint8) * 10
    images = np.broadcast_to(levels[None, :, None, None], (1, channels, 64, 64))
    picture = grid_picture(np.ascontiguousarray(images))
    assert picture.shape == (64 + 2 * GAP, 64 + 2 * GAP, 3)
    assert picture[GAP, GAP].tolist() == ([10, 20, 30] if shown is None else [shown] * 3)


def test_large_images_and_long_rows_are_not_enlarged() -> None:
    wide = grid_picture(np.zeros((65, 1, 32, 32), np.uint8), columns=65)
    assert wide.shape == (32 + 2 * GAP, 65 * (32 + GAP) + GAP, 3)
    assert grid_picture(np.zeros((5, 3, 128, 128), np.uint8)).shape[:2] == (262, 392)
