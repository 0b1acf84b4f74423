"""Scores as probes of a run, and `gp-lab evaluate`: the same numbers, once and later."""

import gc
import json
import math
import shutil
import struct
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import rng
from image_files import encoded, picture
from lab import arrays_of, config_of, free_port, once, trained, values
from torch import Tensor

from gp_lab.cli import main
from gp_lab.data import decoding, pictures
from gp_lab.data.images import Images, Rows
from gp_lab.data.sources import Part
from gp_lab.errors import BadInput, Exit
from gp_lab.evaluation import inception
from gp_lab.evaluation.distances import Nearest
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception import Inception, random_inception
from gp_lab.evaluation.inception_score import inception_score
from gp_lab.evaluation.neighbours import nearest_of_batches, nearest_training
from gp_lab.instantiate import instantiate
from gp_lab.probes import scores
from gp_lab.probes.base import Share, View
from gp_lab.runs.folder import RunFolder
from gp_lab.runs.identity import run_hash
from gp_lab.training import distributed
from gp_lab.training.distributed import Group
from gp_lab.training.load import load
from gp_lab.training.process_group import ProcessGroup
from gp_lab.training.setup import setup
from gp_lab.training.step import start_state
from gp_lab.training.views import view_of

IMAGES = 14
FAKES = 12

PARTS = (
    "dataset=mnist",
    "dataset.source.checksum=false",
    "architecture=mlp_mnist",
    "architecture.width=8",
    "loss=non_saturating",
    "batch_size=5",
    "steps=4",
    "checkpoint_every=2",
    "tracking=none",
    "threads=1",
    "device=cpu",
    "compile=never",
)

INCEPTION = (
    "probe=[inception]",
    f"probe.inception.count={FAKES}",
    "probe.inception.splits=2",
    "probe.inception.subset=6",
    "probe.inception.k=2",
    "probe.inception.every=2",
)

CLASSIFIER = (
    "probe=[classifier,neighbours]",
    "probe.classifier.count=40",
    "probe.classifier.steps=5",
    "probe.neighbours.count=9",
)


def write_mnist(folder: Path, n: int = IMAGES) -> Path:
    """IDX files of n random images to train on and n held out."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in (
            ("images-idx3", random.integers(0, 256, (n, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(n) % 10).astype(np.uint8)),
        ):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(head + array.tobytes())
    return folder


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("mnist"))


@pytest.fixture(scope="module")
def network() -> Inception:
    return random_inception()


@pytest.fixture
def with_weights(network: Inception, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inception with random weights in place of the published ones, on small images: quicker."""
    use(network, monkeypatch)
    scores._inception.cache_clear()
    yield
    scores._inception.cache_clear()


def use(network: Inception, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inception, "SIDE", 75)
    patch.setattr(scores, "load_inception", lambda weights, device: network)


@pytest.fixture
def without_weights(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No weights are here, and none can be downloaded."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/none")
    monkeypatch.setattr(Path, "mkdir", _mkdir_elsewhere(Path.mkdir))
    scores._inception.cache_clear()
    yield
    scores._inception.cache_clear()


def _mkdir_elsewhere(mkdir: Callable[..., None]) -> Callable[..., None]:
    def make(self: Path, *args: Any, **kwargs: Any) -> None:
        if not str(self).startswith("/none"):
            mkdir(self, *args, **kwargs)

    return make


def run_on(mnist: Path, out: Path, *overrides: str) -> RunFolder:
    return trained(f"dataset.root={mnist}", f"out={out}", *overrides, base=PARTS)


# -- Inception ---------------------------------------------------------------------------------


def test_fid_of_the_probe_is_that_of_the_images_as_files_would_hold_them(
    mnist: Path, tmp_path: Path, network: Inception, with_weights: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    compared = []

    def distance(fake: Moments, real: Moments) -> float:
        compared[:] = fake, real
        return frechet_distance(fake, real)

    monkeypatch.setattr(scores, "frechet_distance", distance)
    folder = run_on(mnist, tmp_path, *INCEPTION, "dataset.pixels=mnist_authors", "steps=1")
    found = folder.arrays("inception")
    run = load(folder.path)
    latent = run.setup.latent.draw(run.view.rng("inception"), FAKES)
    with torch.no_grad():
        fakes = torch.cat([run.generator(z) for z in latent.split(4)])
    data = run.setup.dataset
    images = data.to_bytes(fakes) / 127.5 - 1, data.train_rows.part.images / 127.5 - 1
    for moments, x in zip(compared, images, strict=True):
        expected = Moments.of(network(x)[0]).flat()
        torch.testing.assert_close(moments.flat(), expected, rtol=1e-4, atol=1e-4)
    sums = inception.scan(images[:1], network, FAKES, splits=2).sums
    assert found["score"] == pytest.approx(inception_score(sums).mean, rel=1e-5)
    assert found["fid"] > 0
    assert 0 <= found["coverage"] <= 1
    assert np.isfinite(found["kid"])
    assert values(folder, "inception/fid") == [float(found["fid"])]


def test_the_training_data_are_scored_once(
    mnist: Path, tmp_path: Path, network: Inception, with_weights: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Later measurements, and other runs on the same data, read what is kept."""
    seen = []
    forward = Inception.forward

    def counted(self: Inception, images: torch.Tensor) -> Any:
        seen.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(Inception, "forward", counted)
    monkeypatch.setattr(scores, "frechet_distance", lambda fake, real: 1.0)  # it takes seconds
    folder = run_on(mnist, tmp_path, *INCEPTION, "probe.inception.subset=0")
    assert len(values(folder, "inception/fid")) == 2
    assert sum(seen) == 2 * FAKES + IMAGES
    kept = sorted(path.name[:8] for path in (tmp_path / "cache").glob("[!.]*"))
    assert kept == ["moments-"]
    seen.clear()
    run_on(mnist, tmp_path, *INCEPTION, "probe.inception.subset=0", "seed=1", "steps=2")
    assert sum(seen) == FAKES


def test_pictures_in_files_are_decoded_for_a_reference_twice_and_never_again(
    tmp_path: Path, network: Inception, with_weights: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """For its fingerprint and for the network, few at a time; 6 of them for KID again."""
    for i in range(IMAGES):
        (tmp_path / f"{i:02}.png").write_bytes(encoded(picture(28, 28, "L", seed=i)))
    decoded, alive, most = [], set(), [0]
    decode, batches = decoding.decode, scores._bytes_at

    def counted(*arguments: Any) -> np.ndarray:
        decoded.append(arguments)
        return decode(*arguments)

    def watched(*arguments: Any) -> Iterator[torch.Tensor]:
        for batch in batches(*arguments):
            alive.add(key := object())
            weakref.finalize(batch, alive.discard, key)
            most[0] = max(most[0], len(alive))
            yield batch

    monkeypatch.setattr(decoding, "decode", counted)
    monkeypatch.setattr(pictures, "IN_MEMORY", 0)
    monkeypatch.setattr(scores, "_bytes_at", watched)
    monkeypatch.setattr(scores, "BATCH", 2)
    monkeypatch.setattr(scores, "frechet_distance", lambda fake, real: 1.0)  # it takes seconds
    own = ("dataset=image_folder", f"dataset.root={tmp_path}", f"out={tmp_path / 'out'}")
    grey = ("dataset.source.image_size=28", "dataset.source.channels=1")
    base = tuple(o for o in PARTS if not o.startswith("dataset."))
    parts = setup(config_of(*own, *grey, *INCEPTION, base=base))
    state = start_state(parts.game, *parts.initial, 5, parts.dataset.shape, None)
    counts = []
    for step in (0, 2):
        decoded.clear()
        assert parts.probes["inception"].measure(view_of(parts, state, step))
        counts.append(len(decoded))
    assert counts == [2 * IMAGES + 2 * 6, 0]
    assert most[0] <= 3  # of seven batches


def test_a_run_without_weights_finishes_and_says_that_it_has_no_inception_scores(
    mnist: Path, tmp_path: Path, without_weights: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default", scores.MissingWeights)
        folder = run_on(mnist, tmp_path, *INCEPTION)
    assert folder.finished(4)
    assert not values(folder, "inception/fid")
    (sentence,) = {str(w.message) for w in said if w.category is scores.MissingWeights}
    assert sentence.startswith("no Inception scores: probe.inception.weights=null: ")
    assert "put https://" in sentence
    capsys.readouterr()
    assert main(["evaluate", str(folder.path)]) == Exit.BAD_INPUT
    assert capsys.readouterr().err == f"gp-lab: {sentence}\n"
    assert not folder.evaluations()


def test_weights_are_checked_before_a_run_starts(mnist: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "weights.pth"
    wrong.write_bytes(b"something else")
    for path, why in ((wrong, "not the Inception weights"), (tmp_path / "no.pth", "no such file")):
        with pytest.raises(BadInput, match=rf"probe.inception.weights={path}: {why}"):
            run_on(mnist, tmp_path / "out", *INCEPTION, f"probe.inception.weights={path}")
    assert not (tmp_path / "out").exists()


def test_weights_of_a_file_are_used(
    mnist: Path, tmp_path: Path, network: Inception, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(network.net.state_dict(), path)
    digest = inception.checked_weights(path, "")
    monkeypatch.setattr(inception.checked_weights, "__defaults__", (digest[:8],))
    monkeypatch.setattr(inception.load_inception, "__defaults__", (None, "cpu", digest[:8]))
    scores._inception.cache_clear()
    loaded = scores._inception(str(path), torch.device("cpu"))
    scores._inception.cache_clear()
    assert isinstance(loaded, Inception)
    assert loaded.identity == f"inception-{digest}"
    assert torch.equal(loaded.net.fc.weight, network.net.fc.weight)


# -- several ranks -------------------------------------------------------------------------------

SCORED = (
    *INCEPTION, *CLASSIFIER, "probe=[inception,classifier,neighbours]", "precision=fp64", "steps=1",
)  # fmt: skip


def one_rank(rank: int, port: int, mnist: Path, out: Path, world: int = 2) -> None:
    """A run on several ranks, as one of them has it; writes how many images this one generates."""
    fakes_of, made = View.fakes_of, []

    def counted(view: View, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        made.append(len(latent))
        return fakes_of(view, latent, labels)

    def distance(a: Moments, b: Moments) -> float:  # that of Fréchet takes seconds
        return float((a.mean - b.mean).norm() + (a.covariance - b.covariance).norm())

    with pytest.MonkeyPatch.context() as patch:
        if world > 1:
            group = Group(ProcessGroup(rank, world, rank, world, "127.0.0.1", port))
            patch.setattr(distributed, "_group", group)
        use(random_inception(), patch)
        patch.setattr(scores, "frechet_distance", distance)
        patch.setattr(scores, "BATCH", 2)  # 12 images are 3 batches, and 40 are 8
        patch.setattr(View, "fakes_of", counted)
        scores._inception.cache_clear()
        run_on(mnist, out, *SCORED)
    (out / f"made-{rank}").write_text(f"{sum(made)}")


def test_ranks_share_out_a_score_and_come_to_the_numbers_of_one(
    mnist: Path, tmp_path: Path
) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    torch.multiprocessing.spawn(one_rank, (free_port(), mnist, two), nprocs=2)
    one_rank(0, 0, mnist, one, world=1)
    scores._inception.cache_clear()
    (of_two,), (of_one,) = ([RunFolder(path) for path in (out / "runs").iterdir()]
                            for out in (two, one))  # fmt: skip
    assert of_two.status["ranks"] == 2
    found, expected = arrays_of(of_two), arrays_of(of_one)
    assert found.keys() == expected.keys()
    assert {name.split("-")[0] for name in found} == {"inception", "classifier", "neighbours"}
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6, err_msg=name)
    # Of Inception's 3 batches and the classifier's 8; the neighbours' images are one rank's work.
    assert (two / "made-0").read_text() == f"{4 + 20 + 9}"
    assert (two / "made-1").read_text() == f"{8 + 20}"


def test_ranks_of_which_one_has_no_weights_have_no_inception_scores_and_do_not_wait(
    mnist: Path, with_weights: None
) -> None:
    parts = setup(config_of(f"dataset.root={mnist}", *INCEPTION, base=PARTS))
    view = view_of(parts, start_state(parts.game, *parts.initial, 5, parts.dataset.shape, None), 0)
    probe = parts.probes["inception"]

    def one_more(x: Tensor) -> Tensor:
        assert x.numel() == 1, "a sum that the other rank has no part in"
        return x + 1

    with pytest.warns(scores.MissingWeights, match="no Inception scores: another rank has no"):
        assert probe.measure(replace(view, share=Share(0, 2, one_more))) == {}
    with warnings.catch_warnings(action="error"):
        assert probe.measure(replace(view, share=Share(1, 2, one_more))) == {}


# -- the classifier and the neighbours -----------------------------------------------------------


@pytest.fixture(scope="module")
def scored(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output root with a run of 4 iterations that was scored at its end."""

    def make(out: Path) -> None:
        run_on(mnist, out, *CLASSIFIER)

    return once(tmp_path_factory, "scored", make)


@pytest.fixture
def run(scored: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run for a test's own."""
    (path,) = (scored / "runs").iterdir()
    return RunFolder(shutil.copytree(path, tmp_path / "run"))


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
    scores._classifier.cache_clear()
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
    scores._classifier.cache_clear()
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

    monkeypatch.setattr(scores, "nearest_of_batches", counted)
    images = Part(torch.randint(256, (IMAGES, 1, 4, 4), generator=rng()).to(torch.uint8))
    whole, again = Rows(images), Rows(images)
    halves = [Rows(images, torch.arange(k, IMAGES, 2)) for k in range(2)]
    first, *others = [scores._set_aside(rows, 1, 5, cpu) for rows in (whole, *halves)]
    assert len(looked) == 3
    for rows in (again, *halves):
        found = scores._set_aside(rows, 1, 5, cpu)
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
        return dataset, torch.cat(list(scores.training_images(dataset)))

    dataset, every = images()
    assert torch.equal(every, dataset.train_rows.part.images)
    some = torch.cat(list(scores.training_images(dataset, 7)))
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
        (("probe=classifier", "dataset.stacked=3", "architecture.channels=3"),
         "probe.classifier: its classifier knows the classes of single images"),
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


# -- gp-lab evaluate -----------------------------------------------------------------------------


def evaluate(run: RunFolder, *arguments: str) -> int:
    return main(["evaluate", str(run.path), *arguments])


def test_evaluating_a_run_says_what_its_probes_have_said(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert evaluate(run, *CLASSIFIER) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{run.path} at step 4"
    found = {line["probe"]: line for line in run.evaluations()}
    assert set(found) == {"classifier", "neighbours"}
    of_run = run.metrics()[-1]
    for name, line in found.items():
        assert line["step"] == 4
        assert line["settings"]["_target_"].startswith("gp_lab.probes.scores.")
        assert line["versions"]["torch"]
        for quantity, value in line["scores"].items():
            assert value == pytest.approx(of_run[f"{name}/{quantity}"], rel=1e-5)
    assert len(said) == 1 + sum(len(line["scores"]) for line in found.values())
    assert {path: path.read_bytes() for path in before} == before


def test_evaluations_stay_when_a_run_goes_on(run: RunFolder) -> None:
    assert evaluate(run, "probe=neighbours", "probe.neighbours.count=4", "step=2") == Exit.OK
    (line,) = run.evaluations()
    assert line["step"] == 2
    assert line["settings"]["count"] == 4
    assert main(["resume", str(run.path), "steps=6"]) == Exit.OK
    assert run.status["step"] == 6
    assert run.evaluations() == [line]
    text = (run.path / "evaluations.jsonl").read_text()
    assert json.loads(text) == line


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("probe=clasifier",), "probe=clasifier: no such choice"),
        (("probe=classifier", "probe.classifier.cuont=3"), "did you mean count?"),
        (("probe=classifier", "probe.classifier.count=x"), "probe.classifier.count=x: not a whole"),
        (("probe=classifier", "step=3"), "no checkpoint at step 3, only at [2, 4]"),
        (("step=last",), "step=last: not a whole number"),
        (("loss=hinge",), "loss=hinge: cannot be changed when a run is evaluated"),
        (("probe=samples",), "probe.samples: gives arrays alone"),
        (("probe=surface",), "probe.surface: looks at the plane"),
        (("probe=",), "probe=[]: nothing to evaluate"),
        (("probe.inception.weights=no.pth",), "probe.inception.weights=no.pth: no such file"),
    ],
)
def test_what_cannot_be_evaluated_ends_in_a_sentence(
    run: RunFolder, arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert evaluate(run, *arguments) == Exit.BAD_INPUT
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert sentence in said.err
    assert not run.evaluations()


def test_evaluating_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, sentence in (
        ([], "evaluate: which run? write gp-lab evaluate RUN"),
        (["probe=classifier"], "evaluate: which run?"),
        ([str(tmp_path)], f"{tmp_path}: no run there"),
    ):
        assert main(["evaluate", *arguments]) == Exit.BAD_INPUT
        assert sentence in capsys.readouterr().err
