"""Data and latents of one's own: one class each, in a package that nobody but its user knows."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import BARE, config_of
from PIL import Image
from torch import Tensor

import gp_lab
from gp_lab.cli import main
from gp_lab.data.base import Dataset, Latent
from gp_lab.data.latent import DataPlusNoise
from gp_lab.errors import BadInput, Exit
from gp_lab.runs.folder import RunFolder
from gp_lab.training.batches import Block, draw_batches
from gp_lab.training.setup import Setup, setup

CODE = """\
import torch
from gp_lab.data.base import Dataset, Latent


class Spiral(Dataset):
    shape = (2,)

    def __init__(self, turns: float = 1.0) -> None:
        self.turns = turns

    def draw(self, rng, n, real=None):
        t = torch.rand(n, generator=rng)
        angle = 2 * torch.pi * self.turns * t
        return t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


class Sphere(Latent):
    def __init__(self, dim: int) -> None:
        self.shape = (dim,)

    def draw(self, rng, n, real=None):
        return torch.nn.functional.normalize(torch.randn(n, *self.shape, generator=rng))


class Few(Dataset):
    shape = (2,)
    points = torch.arange(20.0).reshape(10, 2)

    def draw(self, rng, n, real=None):
        return self.points[torch.randint(len(self.points), (n,), generator=rng)]


class Labelled(Spiral):
    classes = 2

    def draw_labelled(self, rng, n):
        x = self.draw(rng, n)
        return x, (x[:, 0] > 0).long()


class Following(Sphere):
    follows_reals = True

    def draw(self, rng, n, real=None):
        return super().draw(rng, n) + real


class Bars(Dataset):
    shape = (1, 8, 8)

    def draw(self, rng, n, real=None):
        rows = torch.randint(8, (n, 1, 1, 1), generator=rng)
        return (torch.arange(8).reshape(1, 1, 8, 1) == rows).expand(n, 1, 8, 8) * 2.0 - 1


class OnAnotherScale(Bars):
    def kept(self, x):
        return x.detach().double().cpu().numpy()


class Unfinished(Dataset):
    shape = (2,)


class Alike:
    shape = (2,)

    def draw(self, rng, n, real=None):
        return torch.zeros(n, 2)
"""

FILE = "name: spiral\n_target_: own_data.Spiral\nturns: 1.5\n"

OWN = ("dataset=spiral", "architecture.latent._target_=own_data.Sphere", "trust=[own_data]")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a package `own_data` and a file of one's own for its data set."""
    home = tmp_path_factory.mktemp("own_data")
    (home / "own_data.py").write_text(CODE)
    (group := home / "configs" / "dataset").mkdir(parents=True)
    (group / "spiral.yaml").write_text(FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield home
    sys.modules.pop("own_data", None)


@pytest.fixture(scope="module")
def runs(home: Path) -> list[RunFolder]:
    """Two seeds of one's own data and latents, with probes of the data, of pairs, held out."""
    probes = "probe=[samples,held_out,segments,surface]"
    small = ("probe.samples.count=20", "probe.held_out.count=30", "probe.segments.count=5")
    for seed in (0, 1):
        assert main(
            ["train", f"--config-dir={home / 'configs'}", *BARE[:-1], *OWN, probes, *small,
             f"seed={seed}", "steps=4", f"out={home / 'out'}"]
        ) == Exit.OK  # fmt: skip
    return [RunFolder(path) for path in sorted((home / "out" / "runs").iterdir())]


@pytest.mark.seconds
def test_one_class_each_trains_and_is_probed(runs: list[RunFolder]) -> None:
    assert [run.config["dataset"]["turns"] for run in runs] == [1.5, 1.5]
    samples, held_out = runs[0].arrays("samples"), runs[0].arrays("held_out")
    assert np.linalg.norm(samples["real"], axis=1).max() <= 1
    assert samples["fake"].shape == (20, 2)
    assert held_out["held_out_real"].shape == held_out["held_out_fake"].shape == (30, 2)
    assert not np.isin(held_out["held_out_real"], held_out["train_real"]).any()


def test_its_samples_are_drawn_and_its_runs_compared(
    runs: list[RunFolder], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("samples", "interpolation"):
        picture = home / f"{kind}.png"
        words = ["sample", str(runs[0].path), "trust=own_data", "--kind", kind, "-n", "3"]
        assert main([*words, "--out", str(picture)]) == Exit.OK
        with Image.open(picture) as image:
            assert image.width > 100
    loaded = gp_lab.load(runs[0].path, trust=("own_data",))
    latents, _ = loaded.view.latents(torch.Generator(), 6)
    torch.testing.assert_close(latents.norm(dim=1), torch.ones(6))
    assert main(["compare", str(home / "out"), "held_out/accuracy_train"]) == Exit.OK
    assert "held_out/accuracy_train" in capsys.readouterr().out
    (group,) = gp_lab.compare(home / "out")
    assert len(group.seeds) == 2


def test_a_run_goes_on_where_its_package_is_trusted(runs: list[RunFolder]) -> None:
    assert main(["resume", str(runs[1].path), "steps=5", "trust=own_data"]) == Exit.OK
    assert runs[1].metrics()[-1]["step"] == 5


IMAGES = ("architecture=mlp_mnist", "architecture.size=8", "probe=[samples]", "steps=2")


def trained_on(dataset: str, out: Path) -> RunFolder:
    """A run of small images on a class of one's own."""
    (group := out / "configs" / "dataset").mkdir(parents=True)
    (group / "own.yaml").write_text(f"name: own\n_target_: own_data.{dataset}\n")
    own = ("dataset=own", "trust=[own_data]", f"--config-dir={out / 'configs'}")
    assert main(["train", *BARE[:-1], *own, *IMAGES, f"out={out}"]) == Exit.OK
    (path,) = (out / "runs").iterdir()
    return RunFolder(path)


@pytest.mark.usefixtures("home")
def test_images_of_ones_own_are_kept_as_bytes_and_drawn(tmp_path: Path) -> None:
    run = trained_on("Bars", tmp_path)
    arrays = run.arrays("samples")
    assert arrays["fake"].dtype == np.uint8
    assert set(np.unique(arrays["real"])) == {0, 255}
    for kind, n in (("samples", 4), ("interpolation", 3)):
        picture = tmp_path / f"{kind}.png"
        words = ["sample", str(run.path), "trust=own_data", "--kind", kind, f"-n{n}", "--points=4"]
        assert main([*words, "--out", str(picture)]) == Exit.OK
        with Image.open(picture) as image:
            shown = np.asarray(image)
        assert shown.shape[0] < shown.shape[1] if kind == "interpolation" else shown.ndim == 3
    loaded = gp_lab.load(run.path, trust=("own_data",))
    levels = (loaded.sample(1)[0, 0, 0, 0] + 1) * 127.5
    first = tmp_path / "one.png"
    assert main(["sample", str(run.path), "trust=own_data", "-n1", "--out", str(first)]) == Exit.OK
    with Image.open(first) as image:
        assert image.getpixel((3, 3)) == (round(levels.item()),) * 3


@pytest.mark.usefixtures("home")
def test_images_without_bytes_train_and_are_not_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_on("OnAnotherScale", tmp_path)
    assert run.arrays("samples")["fake"].dtype == np.float64
    assert main(["sample", str(run.path), "trust=own_data"]) == Exit.BAD_INPUT
    assert "OnAnotherScale.kept gives no bytes of images" in capsys.readouterr().err


def on(dataset: str, *overrides: str) -> Setup:
    """A run on a class without keys."""
    config = config_of("trust=[own_data]", *overrides, base=BARE)
    return setup(config | {"dataset": {"name": "own", "_target_": dataset}})


def refusal(dataset: str, *overrides: str) -> str:
    with pytest.raises(BadInput) as error:
        on(dataset, *overrides)
    return str(error.value)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ("Unfinished", "not a part that a config may name: it does not define draw"),
        ("Alike", "own_data.Alike: cannot be used as dataset, which is a gp_lab.data.base.Dataset"),
        ("Few", "batch_size=16: larger than the 10 samples of dataset; choose at most 10"),
        ("Few batch_size=5 probe=[held_out]", "probe.held_out: compares with held-out data; Few"),
        ("Spiral probe=[modes]", "probe.modes: counts modes, but the data set has none"),
        ("Spiral probe=[curve]", "probe.curve: measures distances to a curve, but the data set"),
        ("Spiral probe=[ngrams]", "probe.ngrams: counts characters, but the samples have shape"),
        ("Spiral probe=[neighbours]", "probe.neighbours: scores images, and the data set has none"),
        (
            "Spiral architecture.latent._target_=own_data.Following",
            "g_steps=1: architecture.latent follows the reals, and the generator's own batches",
        ),
    ],
    ids=lambda text: text.split(":")[0],
)
def test_what_it_does_not_have_is_said_before_anything_runs(overrides: str, says: str) -> None:
    name, *more = overrides.split()
    assert says in refusal(f"own_data.{name}", *more)


@pytest.mark.usefixtures("home")
def test_the_base_class_itself_is_no_data_set() -> None:
    assert "not a part" in refusal("gp_lab.data.base.Dataset")


@pytest.mark.usefixtures("home")
def test_latents_that_follow_the_reals_are_given_them_and_others_are_not() -> None:
    def drawn(latent: str) -> tuple[Block, Block]:
        run = on("own_data.Spiral", "g_steps=0", f"architecture.latent._target_={latent}")
        return draw_batches(run, 0), draw_batches(run, 0, slice(4, 8))

    whole, part = drawn("own_data.Following")
    alone, _ = drawn("own_data.Sphere")
    torch.testing.assert_close(whole.latent, alone.latent + whole.real)
    assert torch.equal(part.latent, whole.latent[:, :, 4:8])
    assert torch.equal(part.real, whole.real[:, :, 4:8])


@pytest.mark.usefixtures("home")
def test_classes_of_ones_own_reach_networks_that_take_them() -> None:
    run = on("own_data.Labelled", "architecture.latent._target_=own_data.Sphere")
    run.game.generator.classes = 2  # type: ignore[assignment]
    block = draw_batches(run, 0)
    (labels,), (made,) = block.labels, block.labels_g
    assert torch.equal(labels, (block.real[..., 0] > 0).long())
    assert set(made.unique().tolist()) == {0, 1}


class Origin(Latent):
    shape = (2,)

    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        return torch.zeros(n, 2)


class Shapeless(Dataset):
    def draw(self, rng: torch.Generator, n: int, real: Tensor | None = None) -> Tensor:
        return torch.zeros(n, *self.shape)


def test_what_is_no_method_may_be_a_field_or_set_in_init() -> None:
    @dataclass
    class Fields(Shapeless):
        shape: tuple[int, ...]
        points: Tensor | None = None

    with pytest.raises(TypeError, match="shape"):
        Fields()  # type: ignore[call-arg]
    few = Fields((3,), torch.zeros(4, 3))
    assert (few.shape, few.count, Fields((3,)).count) == ((3,), 4, None)
    with pytest.raises(BadInput, match="Shapeless does not say which shape"):
        _ = Shapeless().shape
    late: Any = Shapeless()
    late.shape, late.points = (5,), torch.zeros(2, 5)
    assert late.draw(torch.Generator(), 2).shape == (2, 5)
    assert late.count == 2


def test_every_question_but_two_has_an_answer_by_default() -> None:
    class Mine(Origin, Dataset):
        pass

    mine: Any = Mine()
    rng = torch.Generator()
    assert mine.prepare(rng) is mine.on(torch.device("cpu")) is mine.spelt_with(("a",)) is mine
    assert (mine.points, mine.count, mine.contents(), mine.centers(), mine.curve(3)) == (None,) * 5
    assert (mine.classes, mine.characters, mine.streams, mine.draws_parts) == (0, (), False, False)
    assert torch.equal(mine.fresh(rng, 3), torch.zeros(3, 2))
    assert mine.kept(torch.ones(1, 2)).dtype == np.float64
    with pytest.raises(BadInput, match="dataset: has no classes"):
        mine.draw_labelled(rng, 1)
    mine.shape = (1, 1, 3)
    images = torch.tensor([[[[-1.0, 0.0, 2.0]]]])
    assert mine.kept(images).tolist() == [[[[0, 128, 255]]]]
    mine.characters, mine.shape = ("a", "b"), (2, 2)
    assert mine.kept(torch.tensor([[[0.1, 0.9], [0.8, 0.2]]])).tolist() == ["ba"]
    assert not Origin().follows_reals
    assert DataPlusNoise().follows_reals
