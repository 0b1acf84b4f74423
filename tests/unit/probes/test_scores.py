"""Scores by a classifier and by neighbours as probes of a run: right, kept, refused in time."""

import gc
import math
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import rng
from lab import config_of, trained, values
from scored_runs import CLASSIFIER, IMAGES, PARTS, run_on
from scored_runs import mnist as mnist
from scored_runs import run as run
from scored_runs import scored as scored

from gp_lab.data.images import Images, Rows
from gp_lab.data.sources import Part
from gp_lab.errors import BadInput
from gp_lab.evaluation.distances import Nearest
from gp_lab.evaluation.neighbours import nearest_of_batches, nearest_training
from gp_lab.instantiate import instantiate
from gp_lab.probes import references, scored_images, scores
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import run_hash
from gp_lab.training.setup import setup
from gp_lab.training.step import start_state
from gp_lab.training.views import view_of


def test_a_classifier_of_the_data_scores_the_samples_and_is_kept(
    run: RunFolder, scored: Path, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run.arrays("classifier")
    assert set(found) == {
        "score", "score_std", "fid", "confidence_share", "class_entropy", "accuracy",
    }  # fmt: skip
    assert 1 <= found["score"] <= 10
    assert 0 <= found["class_entropy"] <= math.log(10)
    assert values(run, "classifier/fid") == [float(found["fid"])]
    kept = sorted(path.name.split("-")[0] for path in (scored / "cache").glob("[!.]*"))
    assert kept == ["classifier", "moments"]

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("gp_lab.evaluation.classifier.train_classifier", fail)
    references.classifier_of.cache_clear()
    shutil.copytree(scored / "cache", tmp_path / "cache")
    again = run_on(mnist, tmp_path, *CLASSIFIER, "seed=1", "dataset.size=8", "steps=1")
    assert again.arrays("classifier")["accuracy"] == found["accuracy"]


def test_a_set_too_large_for_a_classifier_in_memory_is_refused_at_the_start(
    mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*overrides: str) -> None:
        setup(config_of(f"dataset.root={mnist}", *CLASSIFIER, *overrides, base=PARTS))

    needed = 4 * 2 * IMAGES * 28 * 28
    monkeypatch.setattr(scores, "LARGEST", needed)
    start()
    monkeypatch.setattr(scores, "LARGEST", needed - 1)
    start("dataset.held_out=4")  # of the training images, without the others
    why = rf"probe.classifier: its classifier .* {2 * IMAGES} images of \[1, 28, 28\] take more"
    with pytest.raises(BadInput, match=why):
        start("dataset.size=8")  # it sees all of them still


def test_a_cache_that_cannot_be_written_costs_no_run(mnist: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    references.classifier_of.cache_clear()
    with pytest.warns(UserWarning, match=r"classifier-.*: not kept \("):
        folder = run_on(
            mnist, tmp_path, *CLASSIFIER, f"probe.classifier.cache={tmp_path}/file", "steps=1"
        )
    assert folder.finished(1)
    assert values(folder, "classifier/score")


def test_training_images_that_are_generated_are_near_duplicates(mnist: Path) -> None:
    parts = setup(config_of(f"dataset.root={mnist}", *CLASSIFIER, base=PARTS))
    rows = parts.dataset.train_rows
    copies = parts.dataset.floats(rows.images(torch.arange(9)))
    state = start_state(parts.game, *parts.initial, 5, parts.dataset.shape, None)
    view = replace(view_of(parts, state, 0), generate=lambda z: copies[: len(z)])
    found = parts.probes["neighbours"].measure(view)
    assert found["duplicates"] == 1
    assert found["distance"] == 0
    assert set(found["which"].tolist()) <= set(range(9))
    images = rows.images(torch.arange(IMAGES)).float() / 255
    aside = torch.arange(7) * 2
    rest = torch.tensor([i for i in range(IMAGES) if i not in aside.tolist()])
    expected = nearest_training(images[aside], images[rest]).distance
    np.testing.assert_allclose(found["nearest_real"], expected, rtol=1e-6)


def test_what_is_set_aside_is_worked_out_once_for_each_of_many_runs_and_ends_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked, cpu = [], torch.device("cpu")

    def counted(some: torch.Tensor, batches: Iterator[torch.Tensor]) -> Nearest:
        looked.append(len(some))
        return nearest_of_batches(some, batches)

    monkeypatch.setattr(references, "nearest_of_batches", counted)
    images = Part(torch.randint(256, (IMAGES, 1, 4, 4), generator=rng()).to(torch.uint8))
    whole, again = Rows(images), Rows(images)
    halves = [Rows(images, torch.arange(k, IMAGES, 2)) for k in range(2)]
    first, *others = [references.set_aside(rows, 1, 5, cpu) for rows in (whole, *halves)]
    assert len(looked) == 3
    for rows in (again, *halves):
        found = references.set_aside(rows, 1, 5, cpu)
    assert len(looked) == 3
    assert found is others[1]
    assert not torch.equal(first[0][:3], others[0][0])
    end = weakref.ref(images)
    del images, whole, again, halves, rows
    gc.collect()
    assert end() is None


def test_the_nearest_of_batches_is_the_nearest_of_all() -> None:
    samples, training = torch.rand(5, 3, generator=rng()), torch.rand(20, 3, generator=rng(1))
    samples[2] = torch.nan
    whole, parts = (
        nearest_training(samples, training),
        nearest_of_batches(samples, training.split(6)),
    )
    torch.testing.assert_close(parts.distance, whole.distance, equal_nan=True)
    assert torch.equal(parts.which, whole.which)


def test_training_images_are_all_of_them_evenly_spaced_ones_or_stacks(mnist: Path) -> None:
    def images(*overrides: str) -> tuple[Images, torch.Tensor]:
        config = config_of(f"dataset.root={mnist}", *overrides, base=PARTS)
        dataset = instantiate(config["dataset"], "dataset").prepare(rng())
        return dataset, torch.cat(list(scored_images.training_images(dataset)))

    dataset, every = images()
    assert torch.equal(every, dataset.train_rows.part.images)
    some = torch.cat(list(scored_images.training_images(dataset, 7)))
    assert torch.equal(some, every[::2])
    stacks, of_three = images("dataset.stacked=3")
    assert of_three.shape == (IMAGES, 3, 28, 28)
    for channel in of_three.unbind(1):  # each channel has every digit once
        assert sorted(channel.flatten(1).sum(1).tolist()) == sorted(
            every.flatten(1).sum(1).tolist()
        )
    assert stacks.shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("probe=inception", "probe.inception.count=5"), "probe.inception.count=5: FID needs"),
        (("probe=inception", "probe.inception.k=5000"), "probe.inception.k=5000: must be below"),
        (("probe=inception", "probe.inception.k=14", "probe.inception.subset=20"),
         "probe.inception.k=14: there are 14 training images"),
        (("probe=classifier", "dataset.held_out=0"), "probe.classifier: its classifier is tested"),
        (("probe=classifier", "probe.classifier.threshold=2"), "probe.classifier.threshold=2"),
        (("probe=neighbours", "probe.neighbours.count=1"), "probe.neighbours.count=1: one image"),
        (("probe=neighbours", "dataset.size=3", "batch_size=2"), "fewer than 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused_before_training(
    mnist: Path, tmp_path: Path, overrides: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        run_on(mnist, tmp_path / "out", *overrides)
    assert sentence in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("probe", ["inception", "classifier", "neighbours"])
def test_points_are_no_images(probe: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"probe.{probe}: scores images, and the data set has none"):
        trained(f"probe=[{probe}]", f"out={tmp_path / 'out'}", base=())


def test_where_a_probe_keeps_things_is_no_part_of_a_run_s_identity(tmp_path: Path) -> None:
    plain = config_of("probe=[inception]", base=())
    moved = config_of("probe=[inception]", f"out={tmp_path}", base=())
    assert moved["probe"]["inception"]["cache"] == f"{tmp_path}/cache"
    moved["probe"]["inception"]["weights"] = "elsewhere.pth"
    assert run_hash(moved) == run_hash(plain)
    moved["probe"]["inception"]["count"] = 17
    assert run_hash(moved) != run_hash(plain)
