"""Scores from a classifier of the data: trained once, kept as plain tensors."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import normal, rng
from tqdm import tqdm

from gp_lab.evaluation.classifier import (
    Classifier,
    ClassifierOfStacks,
    LabelledImages,
    cached_classifier,
    class_entropy,
    classifier_scores,
    confidence_share,
    real_moments,
    train_classifier,
)


def bars(n: int, seed: int) -> LabelledImages:
    """Four classes of images 12 x 12 in [-1, 1]: a bright bar at one of four places, and noise."""
    labels = torch.arange(n) % 4
    images = torch.full((n, 1, 12, 12), -1.0)
    for i, label in enumerate(labels.tolist()):
        images[i, 0, 3 * label : 3 * label + 2] = 1.0
    noise = 0.2 * torch.randn(images.shape, generator=rng(seed))
    return LabelledImages((images + noise).clamp(-1, 1), labels)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return train_classifier(bars(800, 0), bars(100, 1), steps=60)


@pytest.mark.seconds
def test_a_classifier_learns_what_is_easy_and_knows_its_accuracy(classifier: Classifier) -> None:
    assert classifier.accuracy == 1
    held_out = bars(100, 2)
    features, probabilities = classifier(held_out.images)
    assert features.shape == (100, 128)
    assert torch.equal(probabilities.argmax(1), held_out.labels)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(100, dtype=torch.float64))


@pytest.mark.seconds
def test_a_stack_is_of_the_class_and_has_the_features_of_its_channels(
    classifier: Classifier,
) -> None:
    one = bars(12, 2)
    stacks = one.images.reshape(6, 2, 12, 12)
    of_stacks = ClassifierOfStacks.of(classifier)
    features, probabilities = of_stacks(stacks)
    assert torch.equal(probabilities.argmax(1), 4 * one.labels[::2] + one.labels[1::2])
    first, second = (classifier(stacks[:, k : k + 1]) for k in (0, 1))
    near = {"rtol": 1e-3, "atol": 1e-5}  # float32, in other batches
    torch.testing.assert_close(features, torch.cat([first[0], second[0]], 1), **near)
    torch.testing.assert_close(probabilities[0, 7], first[1][0, 1] * second[1][0, 3], **near)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(6, dtype=torch.float64))
    assert of_stacks.identity != classifier.identity


def test_the_same_seed_gives_the_same_classifier_and_leaves_random_numbers_alone() -> None:
    state = torch.random.get_rng_state()
    first, second, other = (train_classifier(bars(40, 0), bars(8, 1), 2, seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, x in first.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], x)
    assert not torch.equal(other.network.output.weight, first.network.output.weight)
    assert first.identity == second.identity != other.identity


def test_fresh_images_of_all_classes_score_their_number(classifier: Classifier) -> None:
    real = real_moments(classifier, bars(400, 0).images)
    scores = classifier_scores(classifier, bars(400, 5).images, real)
    assert scores.classifier_score == pytest.approx(4, abs=0.2)
    assert scores.confidence_share > 0.95
    assert scores.class_entropy == pytest.approx(math.log(4))
    assert set(scores.as_metrics()) == {
        "classifier_score", "classifier_score_std", "classifier_fid", "confidence_share",
        "class_entropy",
    }  # fmt: skip


def test_a_dropped_class_and_noise_score_worse(classifier: Classifier) -> None:
    data = bars(400, 5)
    real = real_moments(classifier, bars(400, 0).images)
    good = classifier_scores(classifier, data.images, real)
    two = classifier_scores(classifier, data.images[data.labels < 2], real)
    assert two.class_entropy == pytest.approx(math.log(2))
    assert two.classifier_score < 2.1
    assert two.classifier_fid > 10 * good.classifier_fid
    noise = classifier_scores(classifier, normal(400, 1, 12, 12).clamp(-1, 1), real)
    assert noise.confidence_share < good.confidence_share
    assert noise.classifier_fid > 10 * good.classifier_fid


def test_images_that_are_not_finite_score_nan(classifier: Classifier) -> None:
    real = real_moments(classifier, bars(40, 0).images)
    bad = bars(40, 1).images
    bad[3, 0, 2, 2] = math.nan
    scores = classifier_scores(classifier, bad, real).as_metrics()
    assert all(math.isnan(value) for value in scores.values())
    with pytest.raises(ValueError, match="5 samples in 10 splits"):
        classifier_scores(classifier, bad[:5], real)


def test_the_confidence_share_counts_what_is_above_the_threshold() -> None:
    p = torch.tensor([[0.95, 0.05], [0.9, 0.1], [0.5, 0.5], [0.08, 0.92]], dtype=torch.float64)
    assert confidence_share(p) == 0.5
    assert confidence_share(p, 0.4) == 1
    assert math.isnan(confidence_share(p[:0]))


def test_the_class_entropy_is_that_of_the_most_likely_classes() -> None:
    p = torch.tensor([[0.6, 0.4, 0], [0.9, 0.1, 0], [0.2, 0.8, 0], [0.7, 0.2, 0.1]])
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert class_entropy(p) == pytest.approx(expected)
    assert class_entropy(p[:2]) == 0
    assert math.isnan(class_entropy(p[:0]))


def test_a_classifier_is_trained_once_per_data_set_and_setting(tmp_path: Path) -> None:
    data, held_out = bars(40, 0), bars(8, 1)
    first = cached_classifier(tmp_path, data, held_out, steps=2)
    (file,) = tmp_path.glob("[!.]*")
    written = file.stat().st_mtime_ns
    second = cached_classifier(tmp_path, data, held_out, steps=2)
    assert file.stat().st_mtime_ns == written
    assert (second.accuracy, second.identity) == (first.accuracy, first.identity)
    images = normal(5, 1, 12, 12)
    for a, b in zip(first(images), second(images), strict=True):
        assert torch.equal(a, b)
    assert not any(p.requires_grad for p in second.network.parameters())
    cached_classifier(tmp_path, data, held_out, steps=3)
    cached_classifier(tmp_path, data, bars(8, 2), steps=2)
    assert len(list(tmp_path.glob("[!.]*"))) == 3
    kept = torch.load(file, weights_only=True)
    assert kept["accuracy"] == first.accuracy


def test_who_waits_for_a_classifier_is_told_what_is_done_and_where_it_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, held_out = bars(40, 0), bars(8, 1)
    with tqdm(total=3, desc="a run") as bar:
        cached_classifier(tmp_path, data, held_out, steps=2)
        bar.update()
    (path,) = tmp_path.glob("classifier-*.pt")
    said = capsys.readouterr().err
    (line,) = [line for line in said.splitlines() if "kept in" in line]
    assert line == f"training the data set's classifier, kept in {path}"  # not behind the bar
    assert said.index("kept in") < said.rindex("a run")
    cached_classifier(tmp_path, data, held_out, steps=2)
    assert capsys.readouterr().err == ""


def test_a_classifier_is_trained_where_gradients_are_off() -> None:
    with torch.no_grad():
        trained = train_classifier(bars(40, 0), bars(8, 1), steps=2)
    same = train_classifier(bars(40, 0), bars(8, 1), steps=2)
    assert torch.equal(trained.network.output.weight, same.network.output.weight)


@pytest.mark.parametrize("damage", ["cut", "another's"])
def test_a_damaged_classifier_is_trained_again(tmp_path: Path, damage: str) -> None:
    data, held_out = bars(40, 0), bars(8, 1)
    first = cached_classifier(tmp_path, data, held_out, steps=2)
    (file,) = tmp_path.glob("[!.]*")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        torch.save(torch.load(file, weights_only=True) | {"key": "0" * 64}, file)
    with pytest.warns(UserWarning, match="trained again"):
        again = cached_classifier(tmp_path, data, held_out, steps=2)
    assert torch.equal(again.network.output.weight, first.network.output.weight)
    assert cached_classifier(tmp_path, data, held_out, steps=2).identity == first.identity


def test_what_cannot_be_classified_is_refused() -> None:
    data = bars(8, 0)
    with pytest.raises(ValueError, match=r"images \[n, c, h, w\] and labels"):
        replace(data, labels=data.labels[:3])
    with pytest.raises(ValueError, match="integers from 0"):
        replace(data, labels=data.labels.float())
    with pytest.raises(ValueError, match="there are none"):
        LabelledImages(data.images[:0], data.labels[:0])
    with pytest.raises(ValueError, match="differ in shape"):
        train_classifier(data, replace(data, images=data.images[..., :8]))
    one = replace(data, labels=0 * data.labels)
    with pytest.raises(ValueError, match="1 classes"):
        train_classifier(one, one)
    tiny = replace(data, images=data.images[..., :3])
    with pytest.raises(ValueError, match="too small to pool"):
        train_classifier(tiny, tiny)
