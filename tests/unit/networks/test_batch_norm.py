"""Batch norm of few samples: G makes whole batches and hands out a part, one sample is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lab import config_of, trained
from torch import Tensor

import gp_lab
from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.jobs import merged
from gp_lab.objectives.shard import Shard, part
from gp_lab.probes.base import even_batches
from gp_lab.runs.folder import RunFolder
from gp_lab.training.distributed import Ranks
from gp_lab.training.engine import sharded
from gp_lab.training.load import LoadedRun
from gp_lab.training.setup import setup

BATCH, CLASSES, SIDE = 6, 3, 4
POINTS = ("architecture=mlp_tanh_64", "architecture.width=8", "penalty=none", "threads=1",
          "device=cpu", "tracking=none", "steps=2", f"batch_size={BATCH}")  # fmt: skip

NETS = '''
import torch
from torch import nn
from gp_lab.networks.convolution import norm_layer

class Generator(nn.Module):
    """A linear layer to maps, batch norm (of each class by itself where there are any), tanh."""
    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.maps = nn.Linear(5, 2 * 4 * 4)
        self.norm = norm_layer("batch", 2, classes)
        self.mix = nn.Conv2d(2, 1, 1)

    def forward(self, z, *labels):
        return self.mix(self.norm(self.maps(z).unflatten(1, (2, 4, 4)), *labels)).tanh()

class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.slope * x.mean((1, 2, 3))
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small grey images of three classes and networks that normalise batches."""
    home = tmp_path_factory.mktemp("batch_norm")
    (home / "normed_nets.py").write_text(NETS)
    images = np.random.default_rng(0).integers(0, 256, (30, 1, SIDE, SIDE), dtype=np.uint8)
    np.save(home / "train.npy", images)
    np.save(home / "train_labels.npy", np.arange(30) % CLASSES)
    group = home / "configs" / "architecture"
    group.mkdir(parents=True)
    for name, classes in (("images", 0), ("conditional", CLASSES)):
        (group / f"{name}.yaml").write_text(
            f"name: {name}\nlatent: {{_target_: gp_lab.data.latent.Normal, dim: 5}}\n"
            f"generator: {{_target_: normed_nets.Generator, classes: {classes}}}\n"
            "discriminator: {_target_: normed_nets.Discriminator}\n"
        )
    return home


@pytest.fixture(scope="module", autouse=True)
def own_networks(home: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield


@pytest.fixture(scope="module")
def runs(home: Path) -> dict[str, RunFolder]:
    """Runs of two steps whose generator has batch norm: points, images, images of classes."""
    found = {"points": trained(*POINTS, "architecture.norm=batch", f"out={home}", base=())}
    for name in ("images", "conditional"):
        out = home / name
        assert main(
            ["train", f"--config-dir={home / 'configs'}", "tracking=none", "threads=1",
             "device=cpu", "steps=2", "penalty=none", f"batch_size={BATCH}", f"out={out}",
             "dataset=image_array", f"dataset.source.image_size={SIDE}", f"dataset.root={home}",
             "dataset.source.channels=1", f"architecture={name}", "trust=[normed_nets]",
             "probe.samples.count=1"]
        ) == Exit.OK  # fmt: skip
        (path,) = (out / "runs").iterdir()
        found[name] = RunFolder(path)
    return found


KINDS = ("points", "images", "conditional")


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest, runs: dict[str, RunFolder]) -> LoadedRun:
    return gp_lab.load(runs[request.param].path, trust=("normed_nets",))


@pytest.fixture
def batches(run: LoadedRun) -> list[int]:
    """The sizes of the batches that G has been given."""
    sizes: list[int] = []
    run.setup.game.generator.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    return sizes


# -- sampling ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, BATCH, BATCH + 1, 3 * BATCH - 1])
def test_a_sample_does_not_depend_on_how_many_are_asked_for(
    run: LoadedRun, batches: list[int], n: int
) -> None:
    many = run.sample(4 * BATCH, seed=3)
    some = run.sample(n, seed=3)
    assert torch.equal(some, many[:n])
    assert set(batches) == {BATCH}
    assert not torch.equal(run.sample(n, seed=4), some)


@pytest.mark.parametrize("n", [1, 2, BATCH, BATCH + 1])
def test_a_line_between_latents_does_not_depend_on_how_many_there_are(
    run: LoadedRun, batches: list[int], n: int
) -> None:
    many = run.interpolate(2 * BATCH, points=3, seed=3)
    some = run.interpolate(n, points=3, seed=3)
    assert some.shape[:2] == (n, 3)
    assert torch.equal(some, many[:n])
    assert set(batches) == {BATCH}
    # Nor do its ends depend on the steps between them.
    torch.testing.assert_close(run.interpolate(n, points=5, seed=3)[:, [0, 2, 4]], some)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "flags", [("-n", "1"), ("-n", "1", "--kind", "interpolation", "--points", "2")], ids=" ".join
)
def test_one_sample_and_one_line_can_be_asked_for(
    runs: dict[str, RunFolder],
    name: str,
    flags: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sample", str(runs[name].path), "trust=normed_nets", *flags]) == Exit.OK
    assert Path(capsys.readouterr().out.strip()).stat().st_size > 0


def test_one_sample_of_each_class_comes_from_batches_of_all_classes(
    runs: dict[str, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Tensor] = []
    sample = LoadedRun.sample

    def remembered(self: LoadedRun, n: int, seed: int, labels: Tensor) -> Tensor:
        asked.append(labels)
        return sample(self, n, seed, labels)

    monkeypatch.setattr(LoadedRun, "sample", remembered)
    path = str(runs["conditional"].path)
    for n in ("1", "4"):
        command = ["sample", path, "trust=normed_nets", "--kind", "classes", "-n", n]
        assert main([*command, "--out", str(tmp_path / f"{n}.png")]) == Exit.OK
    assert [labels.tolist() for labels in asked] == [[0, 1, 2], [0, 1, 2] * 4]


def test_classes_that_are_given_are_made_and_the_rest_of_the_batch_is_of_any(
    runs: dict[str, RunFolder],
) -> None:
    run = gp_lab.load(runs["conditional"].path, trust=("normed_nets",))
    made: list[Tensor] = []
    run.setup.game.generator.register_forward_hook(lambda _, given, __: made.append(given[1]))
    labels = [2, 0, 1, 1, 2, 0, 2, 2]
    run.sample(len(labels), labels=labels)
    assert torch.cat(made)[: len(labels)].tolist() == labels
    assert [len(y) for y in made] == [BATCH, BATCH]
    run.interpolate(2, points=2, labels=[1, 2])
    assert [y[:2].tolist() for y in made[2:]] == [[1, 2]] * 2


def test_without_batch_norm_no_more_is_generated_than_asked_for(tmp_path: Path) -> None:
    run = gp_lab.load(trained(*POINTS, f"out={tmp_path}", base=()).path)
    sizes: list[int] = []
    run.setup.game.generator.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    run.sample(1)
    run.interpolate(1, points=2)
    assert sizes == [1, 2]


# -- probes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "probe",
    [
        ("samples", "probe.samples.count=1"),
        ("segments", "probe.segments.count=1"),
        ("lines", "probe.lines.count=1", "probe.lines.points=2"),
        ("modes", "probe.modes.count=1", "probe.modes.transport=1"),
        ("loss", "probe.loss.points=1"),
    ],
    ids=lambda probe: probe[0],
)
def test_probes_that_draw_one_sample_work_with_batch_norm_in_both_networks(
    tmp_path: Path, probe: tuple[str, ...]
) -> None:
    name, *counts = probe
    folder = trained(
        *POINTS, "architecture.norm=batch", f"probe=[{name}]", *counts, f"out={tmp_path}", base=()
    )
    arrays = folder.arrays(name).values()
    assert all(np.isfinite(x).all() for x in arrays)


@pytest.mark.parametrize(
    ("probe", "key"),
    [
        ("surface", "points"),
        ("field", "points"),
        ("gradients", "count"),
        ("held_out", "count"),
        ("pairs", "count"),
        ("critic_losses", "count"),
    ],
)
def test_probes_that_show_d_a_single_sample_are_refused_with_batch_norm_in_it_alone(
    tmp_path: Path, probe: str, key: str
) -> None:
    one = (*POINTS, f"probe=[{probe}]", f"probe.{probe}.{key}=1", f"out={tmp_path}")
    with pytest.raises(BadInput) as refusal:
        setup(config_of(*one, "architecture.norm=batch", base=()))
    assert str(refusal.value) == (
        f"probe.{probe}.{key}=1: of one sample there are no statistics for the batch norm of the"
        " discriminator; use at least 2, or architecture.norm=layer or none"
    )
    in_g = ("architecture.generator.norm=batch", "architecture.discriminator.norm=none")
    assert trained(*one, *in_g, base=()).arrays(probe)


def test_whatever_is_cut_into_batches_leaves_no_batch_of_one() -> None:
    for n in range(2, 80):
        for size in range(1, 20):
            sizes = even_batches(n, size)
            assert sum(sizes) == n
            assert min(sizes) >= 2
            assert max(sizes) - min(sizes) <= 1
            assert max(sizes) <= max(size, 3)
    assert even_batches(1, 7) == [1]


@pytest.mark.parametrize("probe", ["held_out", "critic_losses"])
def test_a_batch_and_one_more_are_measured_with_batch_norm_in_d(tmp_path: Path, probe: str) -> None:
    count = f"probe.{probe}.count={BATCH + 1}"
    run = (*POINTS, "architecture.norm=batch", f"probe=[{probe}]", count, f"out={tmp_path}")
    assert trained(*run, base=()).arrays(probe)


# -- training ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "net", "key"),
    [
        (("architecture.norm=batch",), "generator", "architecture"),
        (
            ("architecture.generator.norm=none", "architecture.discriminator.norm=batch"),
            "discriminator",
            "architecture",
        ),
        (("architecture=dcgan_cifar", "architecture.filters=4", "dataset=image_array"),
         "generator", "architecture.generator"),
        (("architecture=mlp_zero_gp_encoder", "architecture.encoder.norm=batch"), "encoder",
         "architecture"),
    ],
    ids=["both", "discriminator", "images", "encoder"],
)  # fmt: skip
def test_a_batch_of_one_is_refused_where_a_network_normalises_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    overrides: tuple[str, ...],
    net: str,
    key: str,
) -> None:
    base = list(POINTS)
    if "dataset=image_array" in overrides:
        np.save(tmp_path / "train.npy", np.zeros((4, 3, 32, 32), np.uint8))
        base.remove("architecture.width=8")
        overrides += (f"dataset.root={tmp_path}", "dataset.source.image_size=32", "probe=[]")
    given = merged([*base, "batch_size=1", *overrides, f"out={tmp_path}"])
    assert main(["train", *given]) == Exit.BAD_INPUT
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"gp-lab: batch_size=1: of one sample there are no statistics for the batch norm of the"
        f" {net}; use at least 2, or {key}.norm=layer or none"
    ]
    assert not (tmp_path / "runs").exists()


def test_a_batch_of_one_is_trained_where_no_network_normalises_it(tmp_path: Path) -> None:
    given = [x for x in POINTS if not x.startswith("batch_size")]
    assert trained(*given, "batch_size=1", f"out={tmp_path}", base=()).status["step"] == 2


class Several(Ranks):
    """The first of some ranks that never meet."""

    def __init__(self, world: int) -> None:
        self.world = world

    def shard(self, batch: int) -> Shard:
        return Shard(*part(batch, 0, self.world), batch, lambda x: x)


@pytest.mark.parametrize(("batch", "world", "fits"), [(4, 2, True), (3, 2, False), (7, 4, False)])
def test_ranks_that_normalise_by_themselves_need_two_samples_each(
    tmp_path: Path, batch: int, world: int, fits: bool
) -> None:
    config = config_of(*POINTS, "architecture.norm=batch", f"out={tmp_path}", base=())
    run = setup(config | {"batch_size": batch, "batch_norm": "local"})
    ranks = Several(world)
    if fits:
        assert sharded(run.game, ranks, run.settings).shard is not None
        return
    with pytest.raises(BadInput, match=f"batch_size={batch}: leaves one of the {world} ranks a"):
        sharded(run.game, ranks, run.settings)
    synchronised = setup(config | {"batch_size": batch})
    assert sharded(synchronised.game, ranks, synchronised.settings).shard is not None
