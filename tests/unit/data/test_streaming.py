"""Data that do not fit stream: the next block is drawn ahead, no more is held, nothing changes."""

import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import rng
from image_files import Fixed, encoded, picture, random_bytes
from lab import LANGUAGE, assert_same_run, assert_same_tensors, config_of, trained
from labelled import tree

from gp_lab.cli import main
from gp_lab.data import sources
from gp_lab.data.images import Images, Rows
from gp_lab.data.pictures import ImageFolder
from gp_lab.data.prepared import ImageArray
from gp_lab.data.sources import Part, resident
from gp_lab.errors import BadInput, Exit
from gp_lab.runs.folder import RunFolder
from gp_lab.training import batches
from gp_lab.training.batches import Block, Blocks, draw_batches
from gp_lab.training.setup import Setup, setup

BASE = (
    "dataset=image_folder", "dataset.source.image_size=28", "dataset.source.channels=1",
    "architecture=mlp_mnist", "architecture.width=8", "batch_size=8", "steps=5", "log_every=1",
    "tracking=none", "threads=1", "device=cpu", "compile=never", "probe.samples.count=10",
)  # fmt: skip
N = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(N):
        (folder / f"{i:02}.png").write_bytes(encoded(picture(28, 28, "L", seed=i)))
    return folder


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("array")
    images = [np.asarray(picture(28, 28, "L", seed=i)) for i in range(N)]
    np.save(folder / "train.npy", np.stack(images)[:, None])
    return folder


@pytest.fixture
def mapped(array: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A run on an array that is mapped from a file, one iteration a block."""
    monkeypatch.setattr(batches, "FLOATS", 1)
    return setup(config_of("dataset=image_array", f"dataset.root={array}", base=BASE))


def same(a: Block, b: Block) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a, b, strict=True)
        if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)
    )


def test_blocks_drawn_ahead_are_those_of_their_numbers_wherever_one_starts(mapped: Setup) -> None:
    ahead = Blocks([mapped])
    for k in (2, 3, 3, 4, 0, 1, 4):
        assert same(ahead[k], draw_batches(mapped, k))
    ahead.close()


def test_the_block_in_use_and_the_next_one_are_all_that_is_held(
    mapped: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: set[int] = set()
    most, drawn = [0], []

    def counted(run: Setup, k: int, rows: slice) -> Block:
        drawn.append((k, threading.current_thread() is threading.main_thread()))
        block = draw_batches(run, k, rows)
        alive.add(k)
        weakref.finalize(block.real, alive.discard, k)
        most[0] = max(most[0], len(alive))
        return block

    monkeypatch.setattr(batches, "draw_batches", counted)
    gc.disable()
    try:
        ahead = Blocks([mapped])
        for k in range(5):
            ahead[k]
            if ahead.coming is not None:
                ahead.coming[1].result()
            assert alive == {k, k + 1} & set(range(5))
        ahead.close()
    finally:
        gc.enable()
    assert most == [2]
    # The first is waited for; the others are drawn meanwhile, none beyond the run's end.
    assert drawn == [(0, True), (1, False), (2, False), (3, False), (4, False)]


def test_a_run_holds_no_more_either(
    array: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FLOATS", 1)
    alive: set[int] = set()
    most = [0]

    def counted(run: Setup, k: int, rows: slice) -> Block:
        block = draw_batches(run, k, rows)
        alive.add(k)
        weakref.finalize(block.real, alive.discard, k)
        most[0] = max(most[0], len(alive))
        return block

    monkeypatch.setattr(batches, "draw_batches", counted)
    trained("dataset=image_array", f"dataset.root={array}", f"out={tmp_path}", base=BASE)
    assert most == [2]


def test_data_in_memory_and_points_need_no_thread(folder: Path) -> None:
    in_memory = setup(config_of(f"dataset.root={folder}", base=BASE))
    assert Blocks([in_memory]).thread is None
    assert Blocks([setup(config_of())]).thread is None
    assert Blocks([in_memory], slice(0, 3)).thread is not None  # one of several ranks
    assert in_memory.dataset.train_rows.part is resident(
        in_memory.dataset.train_rows.part, torch.device("cpu")
    )


def test_a_set_on_a_device_is_shared_by_the_runs_that_have_it_and_ends_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "room", lambda _: 1000)
    device = torch.device("meta")
    parts = [Part(torch.zeros(n, 1, 2, 2, dtype=torch.uint8)) for n in (3, 4, 500)]
    there = [resident(part, device) for part in parts]
    assert [x.streams for x in there] == [False, False, True]
    assert all(resident(part, device) is x for part, x in zip(parts, there, strict=True))
    ends = [weakref.ref(x) for x in (*parts, *there)]
    del there, parts
    gc.collect()
    assert [end() for end in ends] == [None] * 6


def test_a_run_is_the_same_from_memory_from_a_mapped_array_and_from_single_files(
    folder: Path, array: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"dataset.root={folder}"
    in_memory = trained(root, f"out={tmp_path / 'memory'}", base=BASE)
    mapped = trained(
        "dataset=image_array", f"dataset.root={array}", f"out={tmp_path / 'mapped'}", base=BASE
    )
    sources.loaded.cache_clear()
    monkeypatch.setattr("gp_lab.data.pictures.IN_MEMORY", 0)
    decoded = trained(root, f"out={tmp_path / 'decoded'}", base=BASE)
    sources.loaded.cache_clear()
    for other in (mapped, decoded):
        assert_same_run(in_memory, other)


def test_a_streaming_run_that_is_resumed_goes_on_in_the_same_place(
    array: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FLOATS", 1)
    own = ("dataset=image_array", f"dataset.root={array}")
    whole = trained(*own, f"out={tmp_path / 'whole'}", base=BASE)
    part = trained(*own, "steps=3", f"out={tmp_path / 'part'}", base=BASE)
    assert main(["resume", str(part.path), "steps=5"]) == Exit.OK
    assert part.metrics() == whole.metrics()
    assert_same_tensors(whole, part)


def test_a_damaged_picture_of_a_streaming_set_ends_the_run_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(N):
        data = encoded(picture(28, 28, "L", seed=i))
        (tmp_path / f"{i}.png").write_bytes(data if i != 7 else data[:200])
    monkeypatch.setattr("gp_lab.data.pictures.IN_MEMORY", 0)
    monkeypatch.chdir(tmp_path)
    # All pictures are drawn in a block.
    assert main(["train", *BASE, f"dataset.root={tmp_path}", "batch_size=20"]) == Exit.BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert "7.png: the image is truncated or damaged" in said[-1]
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    assert "7.png" in RunFolder(run).status["why"]


@pytest.mark.parametrize("held", ["in memory", "mapped", "in files"])
@pytest.mark.parametrize(
    "how",
    [
        {"flips": True},
        {"dequantise": True, "flips": True, "order": "replacement"},
        {"stacked": 3, "dequantise": True, "size": 10},
    ],
)
def test_a_part_of_a_batch_is_that_of_the_whole_and_no_other_image_is_read(
    folder: Path, array: Path, monkeypatch: pytest.MonkeyPatch, held: str, how: dict[str, Any]
) -> None:
    monkeypatch.setattr("gp_lab.data.random.AT_ONCE", 5000)  # six images of 28 x 28
    monkeypatch.setattr("gp_lab.data.pictures.IN_MEMORY", 0 if held == "in files" else 2**20)
    sources.loaded.cache_clear()
    arrays, files = (
        ImageArray(str(array), 28, 1),
        ImageFolder(str(folder), image_size=28, channels=1),
    )
    images = Images(arrays if held == "mapped" else files, **how).prepare(rng())
    sources.loaded.cache_clear()
    assert images.streams == (held != "in memory")
    whole = images.draw(rng(1), 50)
    read = []
    of_rows = Rows.images
    monkeypatch.setattr(Rows, "images", lambda rows, i: read.append(len(i)) or of_rows(rows, i))
    for wanted in ([3, 4, 5, 23, 24, 25, 43, 44, 45], [0, 49], []):
        part = images.draw(rng(1), 50, wanted=torch.tensor(wanted, dtype=torch.long))
        assert torch.equal(part, whole[wanted])
        assert read.pop() == len(wanted) * images.stacked


@pytest.mark.parametrize("stacked", [1, 2])
def test_a_part_of_a_batch_has_its_labels(stacked: int) -> None:
    digits = Fixed(random_bytes(30, 1, 4, 4), np.arange(30) % 10)
    images = Images(digits, stacked=stacked, flips=True).prepare(rng())
    wanted = torch.tensor([2, 3, 12, 13])
    whole, part = images.draw_labelled(rng(1), 20), images.draw_labelled(rng(1), 20, wanted)
    for of_whole, of_part in zip(whole, part, strict=True):
        assert torch.equal(of_part, of_whole[wanted])


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic"])
@pytest.mark.parametrize("kind", ["mapped", "classes", "text", "points"])
def test_a_block_of_some_rows_is_the_whole_block_s(
    kind: str, loss: str, array: Path, tmp_path: Path
) -> None:
    base = {
        "mapped": (*BASE, "dataset=image_array", f"dataset.root={array}"),
        "classes": tree(tmp_path) if kind == "classes" else (),
        "text": LANGUAGE,
        "points": ("architecture=noisy_data", "architecture.latent.paired=false", "g_steps=0"),
    }[kind]
    run = setup(config_of("batch_size=8", f"loss={loss}", base=base))
    whole = draw_batches(run, 1)
    assert bool(whole.real_g) == (loss == "relativistic" and kind != "points")
    for rows in (slice(0, 3), slice(3, 8)):
        part = draw_batches(run, 1, rows)
        for name in ("real", "latent", "u", "latent_g", "labels", "labels_g", "real_g"):
            of_whole, of_part = getattr(whole, name), getattr(part, name)
            labels = isinstance(of_whole, tuple)
            pairs = zip(of_whole, of_part, strict=True) if labels else [(of_whole, of_part)]
            assert all(torch.equal(x[:, :, rows], y) for x, y in pairs if x.numel())


def test_the_thread_ends_with_the_run(mapped: Setup) -> None:
    ahead = Blocks([mapped])
    ahead[0]
    (thread,) = (t for t in threading.enumerate() if t.name.startswith("next block"))
    ahead.close()
    assert not thread.is_alive()


def test_the_thread_of_a_rank_works_on_that_rank_s_gpu(
    mapped: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    on: list[int] = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", on.append)
    ahead = Blocks([replace(mapped, device=torch.device("cuda"))])
    assert ahead.thread is not None
    ahead.thread.submit(int).result()
    ahead.close()
    assert on == [3]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_bytes_live_on_a_gpu_where_they_fit_and_are_sent_to_it_where_they_do_not(
    array: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(ImageArray(str(array), 28, 1), dequantise=True, flips=True).prepare(rng())
    device = torch.device("cuda", 0)
    expected = images.draw(rng(), 7)
    there = images.on(device)
    assert there.train_rows is not None
    assert there.train_rows.part.images.device == device
    assert not there.streams
    drawn = there.draw(rng(), 7)
    monkeypatch.setattr(sources, "room", lambda _: 100)
    del there
    sent = images.on(device)
    assert sent.streams
    for x in (drawn, sent.draw(rng(), 7)):
        assert x.device == device
        torch.testing.assert_close(x.cpu(), expected)


def test_a_batch_larger_than_the_data_set_is_refused_at_the_start(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"batch_size=21: larger than the 20 samples of dataset;"):
        setup(config_of(f"dataset.root={folder}", "batch_size=21", base=BASE))
    with pytest.raises(BadInput, match="batch_size=16: larger than the 15 samples"):
        setup(config_of(f"dataset.root={folder}", "dataset.held_out=5", "batch_size=16", base=BASE))
    text = tmp_path / "text.txt"
    text.write_text("a line of some length\n" * 9)
    with pytest.raises(BadInput, match="batch_size=10: larger than the 9 samples of dataset"):
        setup(config_of("dataset=text", f"dataset.root={text}", base=("batch_size=10",)))


@pytest.mark.parametrize("probe", ["held_out", "critic_losses"])
def test_a_probe_of_held_out_images_wants_some_at_the_start(folder: Path, probe: str) -> None:
    why = rf"probe.{probe}: compares with held-out data; dataset.held_out: the data set has no"
    with pytest.raises(BadInput, match=why):
        setup(config_of(f"dataset.root={folder}", f"probe=[{probe}]", base=BASE[:-1]))
