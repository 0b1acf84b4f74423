"""The probe of Inception scores: its numbers, its weights, and several ranks that share it."""

import warnings
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_files import encoded, picture
from lab import arrays_of, config_of, free_port, values
from scored_runs import CLASSIFIER, FAKES, IMAGES, INCEPTION, PARTS, run_on, use
from scored_runs import mnist as mnist
from scored_runs import network as network
from scored_runs import with_weights as with_weights
from scored_runs import without_weights as without_weights
from torch import Tensor

from gp_lab.cli import main
from gp_lab.data import decoding, pictures
from gp_lab.errors import BadInput, Exit
from gp_lab.evaluation import inception
from gp_lab.evaluation.frechet import Moments, frechet_distance
from gp_lab.evaluation.inception import Inception, random_inception
from gp_lab.evaluation.inception_score import inception_score
from gp_lab.probes import references, scored_images, scores
from gp_lab.probes.base import Share, View
from gp_lab.runs.folder import RunFolder
from gp_lab.training import distributed
from gp_lab.training.distributed import Group
from gp_lab.training.load import load
from gp_lab.training.process_group import ProcessGroup
from gp_lab.training.setup import setup
from gp_lab.training.step import start_state
from gp_lab.training.views import view_of

# -- Inception ---------------------------------------------------------------------------------


@pytest.mark.seconds
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


@pytest.mark.seconds
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


@pytest.mark.seconds
def test_pictures_in_files_are_decoded_for_a_reference_twice_and_never_again(
    tmp_path: Path, network: Inception, with_weights: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """For its fingerprint and for the network, few at a time; 6 of them for KID again."""
    for i in range(IMAGES):
        (tmp_path / f"{i:02}.png").write_bytes(encoded(picture(28, 28, "L", seed=i)))
    decoded, alive, most = [], set(), [0]
    decode, batches = decoding.decode, scored_images.images_at

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
    monkeypatch.setattr(scored_images, "images_at", watched)
    monkeypatch.setattr(scored_images, "BATCH", 2)
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
    monkeypatch.setattr(inception.load_inception, "__defaults__", (None, "cpu", digest[:8], "fp32"))
    references._inception.cache_clear()
    loaded = references._inception(str(path), torch.device("cpu"), "fp32")
    references._inception.cache_clear()
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
        patch.setattr(scored_images, "BATCH", 2)  # 12 images are 3 batches, and 40 are 8
        patch.setattr(View, "fakes_of", counted)
        references._inception.cache_clear()
        run_on(mnist, out, *SCORED)
    (out / f"made-{rank}").write_text(f"{sum(made)}")


@pytest.mark.seconds
def test_ranks_share_out_a_score_and_come_to_the_numbers_of_one(
    mnist: Path, tmp_path: Path
) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    torch.multiprocessing.spawn(one_rank, (free_port(), mnist, two), nprocs=2)
    one_rank(0, 0, mnist, one, world=1)
    references._inception.cache_clear()
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
