"""`gp-lab sample` and what `gp_lab.load` gives: pictures of images and points, lines of text."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import trained
from PIL import Image
from sampled import CLASSES, IMAGES, SIDE, sampled
from sampled import conditional as conditional
from sampled import home as home
from sampled import made as made
from sampled import own_networks as own_networks
from sampled import plain as plain
from sampled import points as points

import gp_lab
from gp_lab.cli import main
from gp_lab.data.images import Images
from gp_lab.data.random import generator
from gp_lab.data.sources import loaded
from gp_lab.errors import BadInput, Exit
from gp_lab.probes.pictures import GAP, grid_picture
from gp_lab.runs.folder import RunFolder


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


def test_a_loaded_run_is_one_line_on_the_terminal(points: RunFolder) -> None:
    assert repr(gp_lab.load(points.path)) == f"LoadedRun({str(points.path)!r}, step=2)"


def test_points_of_the_plane_are_drawn_among_reals(
    points: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sampled(capsys, points, "--out", str(tmp_path / "plane.png"))
    assert path == tmp_path / "plane.png"
    with Image.open(path) as picture:
        colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert {(230, 159, 0), (86, 180, 233)} <= colours


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
