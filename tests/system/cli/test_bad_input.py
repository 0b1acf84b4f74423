"""Wrong commands end in one sentence that names the key, with exit status 2, and leave nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lab import PATIENCE
from refusals import SMALL, Refused

from gp_lab.cli import main
from gp_lab.errors import BadInput, Exit
from gp_lab.launching.compose import compose, hydra_session
from gp_lab.launching.config_groups import config_folder
from gp_lab.launching.jobs import panel_overrides

# What is typed after `gp-lab train`, and what the sentence has to say: it begins with the first.
OVERRIDES = [
    # keys that nobody reads
    ("foo=bar", "foo: no such key", "penalty"),
    ("+foo=3", "foo: no such key", "penalty"),
    ("++foo=3", "foo: no such key", "penalty"),
    ("penalty.wieght=3", "penalty.wieght: no such key", "did you mean weight?"),
    ("+penalty.wieght=3", "penalty.wieght: no such key", "did you mean weight?"),
    ("+dataset.foo=3", "dataset.foo: no such key", "distribution"),
    ("+architecture.foo=3", "architecture.foo: no such key", "width"),
    ("+probe.surface.foo=3", "probe.surface.foo: no such key", "points"),
    ("penalty@other=zero_gp", "penalty@other: no such key", "penalty"),
    ("hydra.job.nope=1", "hydra.job.nope=1: this setting of Hydra's has no effect here"),
    ("~penalty", "penalty: missing",),
    ("~penalty.weight", "penalty.weight: missing"),
    ("~steps", "steps: missing"),
    ("+penalty=zero_gp", "+penalty=zero_gp: every run has its penalty already"),
    ("+steps=3", "steps: exists already"),
    # choices that are not there
    ("penalty=foo", "penalty=foo: no such choice", "zero_gp"),
    ("penalty=null", "penalty=null: no such choice", "zero_gp"),
    ("penalty=[zero_gp,one_gp]", "penalty=[zero_gp,one_gp]: no such choice", "max_gp"),
    ("dataset=???", "dataset=???: no such choice", "swiss_roll"),
    ("probe=[surface,???]", "probe=[surface,???]: no such choice", "samples"),
    ("probe=[1]", "probe=[1]: no such choice", "samples"),
    (f"penalty={'x' * 300}", "penalty=xxx", "no such choice"),
    (f"hydra/help={'x' * 300}", "hydra/help=xxx", "no such choice"),
    ("hydra=null", "hydra=null: Hydra's own keys are written hydra.KEY=value"),
    ("optimizer=adamw", "optimizer=adamw: no such choice", "did you mean adam?"),
    ("probe=[surface,nope]", "probe=nope: no such choice", "surface"),
    ("scale=tiny", "scale=tiny: no such choice", "smoke"),
    ("figure=zero_gp/nope", "figure=zero_gp/nope: no such choice", "zero_gp/fig1"),
    ("hydra/launcher=nope", "hydra/launcher=nope: no such choice", "replicas"),
    ("hydra/sweeper=basic", "hydra/sweeper=basic: no such choice", "panels"),
    ("compile=maybe", "compile=maybe: no such choice", "never"),
    ("precision=fp8", "precision=fp8: no such choice", "bf16"),
    ("schedule.shape=cosine", "schedule.shape=cosine: no such choice", "linear"),
    ("penalty.measure=nowhere", "penalty.measure=nowhere: no such choice", "midpoint"),
    ("architecture.norm=group", "architecture.discriminator.norm=group: no such choice", "layer"),
    ("device=tpu", "device=tpu: no such device", "cpu"),
    # types and ranges
    ("penalty.weight=abc", "penalty.weight=abc: not a number"),
    ("penalty.weight=true", "penalty.weight=true: not a number"),
    ("penalty.weight=-3", "penalty.weight=-3: must be at least 0"),
    ("penalty.weight=inf", "penalty.weight=inf: not a finite number"),
    ("penalty.weight=nan", "penalty.weight=nan: not a finite number"),
    ("penalty.weight=???", "penalty.weight=???: has no value"),
    ("steps=???", "steps=???: has no value"),
    ("steps=0", "steps=0: must be at least 1"),
    ("steps=1.5", "steps=1.5: not a whole number"),
    ("steps=1e3", "steps=1000.0: not a whole number"),
    ("batch_size=0", "batch_size=0: must be at least 1"),
    (f"batch_size={10**12}", f"batch_size={10**12}: must be at most {10**8}"),
    (f"batch_size={10**20}", f"batch_size={10**20}: must be at most"),
    ("batch_size=100000000 d_steps=10000", "batch_size=100000000, d_steps=10000, g_steps=1: too"),
    ("batch_size=100000 d_steps=100000000", "batch_size=100000, d_steps=1", "GB are free"),
    ("batch_size=100000 g_steps=100000000", "batch_size=100000, d_steps=1, g", "GB at least"),
    (
        "loss=relativistic probe=[loss]",
        "probe.loss: draws phi, varphi and psi, and loss=relativistic is a loss of pairs",
    ),
    (
        "loss=relativistic penalty=r1_r2 architecture=fixed_gaussian g_steps=0 batch_size=16"
        " dataset=two_gaussians dataset.size=64 architecture.latent.size=32 probe=[held_out]",
        "probe.held_out: loss=relativistic needs as many reals as fakes, and there are 64 and 32",
    ),
    ("probe=[surface] probe.surface.points=10000000", "probe.surface: 100000000000000 samples"),
    (
        "probe=[segments] probe.segments.count=100000000 probe.segments.points=10000",
        "probe.segments: 1000000000000 samples: too large for the memory here",
    ),
    ("architecture.depth=100000000", "architecture.discriminator.depth=100000000: must be at most"),
    ("architecture.width=10000000", "architecture.discriminator: too large for the memory"),
    ("dataset.distribution.modes=100000000", "dataset.distribution.modes=100000000: must be at"),
    (f"steps={10**20}", f"steps={10**20}: must be at most"),
    (f"log_every={10**13}", f"log_every={10**13}: must be at most"),
    (f"seed={2**63}", f"seed={2**63}: must be at most {2**63 - 1}"),
    ("seed=" + "1" * 5000, "seed=1111", "too many digits"),
    ("penalty.weight=1e400", "penalty.weight=inf: not a finite number"),
    ("optimizer.lr=1e-400", "optimizer.lr=0.0: must be greater than 0"),
    ("seed=-1", "seed=-1: must be at least 0"),
    ("average=1", "average=1: must be less than 1"),
    ("force=maybe", "force=maybe: not true or false"),
    ("panel=[1]", "panel=[1]: not a text"),
    ("optimizer.lr=0", "optimizer.lr=0: must be greater than 0"),
    ("optimizer.betas=0.5", "optimizer.betas=0.5: not a list"),
    ("optimizer.betas=[0.5]", "optimizer.betas=[0.5]: too few entries"),
    ("optimizer.betas=[0.5,1.5]", "optimizer.betas[1]=1.5: must be less than 1"),
    ("probe.surface.points=0", "probe.surface.points=0: must be at least 1"),
    ("probe.surface.low=5", "probe.surface.low=5.0: not below high=3.0"),
    ("out=null", "out=null: not a text"),
    ("out=", "out=: must not be empty"),
    # names that a config may not use
    ("penalty._target_=os.system", "penalty._target_=os.system: not a part"),
    (
        "penalty._target_=torch.nn.modules.module.torch.load",
        "penalty._target_=torch.nn.modules.module.torch.load: nothing of that name",
    ),
    ("penalty._target_=3", "penalty._target_=3: not a part"),
    (
        "loss._target_=gp_lab.runs.cleaning.delete",
        "loss._target_=gp_lab.runs.cleaning.delete: not a part", "gp_lab.objectives",
    ),
    (
        "loss._target_=gp_lab.objectives.penalties.Penalty",
        "loss._target_=gp_lab.objectives.penalties.Penalty: cannot be used as loss",
    ),
    (
        "loss._target_=gp_lab.objectives.losses.Loss",
        "loss._target_=gp_lab.objectives.losses.Loss: not a part",
    ),
    (
        "architecture.generator._target_=gp_lab.objectives.losses.Hinge",
        "architecture.generator._target_=gp_lab.objectives.losses.Hinge: cannot be used as",
    ),
    (
        "dataset.distribution._target_=subprocess.Popen",
        "dataset.distribution._target_=subprocess.Popen: not a part",
    ),
    (
        "tracking._target_=gp_lab.objectives.losses.Hinge",
        "tracking._target_=gp_lab.objectives.losses.Hinge: cannot be used as tracking",
    ),
    ("architecture.discriminator=null", "architecture.discriminator=null: not a part"),
    ("trust=3", "trust=3: not a package, nor a list"),
    ("trust=[os,3]", "trust=3: not the name of a package"),
    ("trust=", "trust=: not the name of a package"),
    ("trust=os penalty._target_=os.system", "penalty._target_=os.system: not a part", "class"),
    ("trust=[os] penalty._target_=os.system", "penalty._target_=os.system: not a part", "class"),
    ("out=${oc.env:HOME}", "out=${oc.env:HOME}: resolvers are not allowed"),
    ("out=${nope}", "out: ", "nope"),
    ("penalty.name=../../x", "penalty.name=../../x: the penalty is named one_gp"),
    # parts that do not go together
    ("dataset=two_gaussians batch_size=1000", "batch_size=1000: larger than the 100 samples"),
    ("architecture.norm=batch", "architecture.norm=batch: ", "layer", "penalty=none"),
    ("architecture=fixed_gaussian g_steps=1 batch_size=50", "g_steps=1: ", "g_steps=0"),
    ("penalty=mu_anchor penalty.anchor=[1,2,3]", "penalty.anchor=[1.0, 2.0, 3.0]: ", "1 or 2"),
    ("penalty=zero_gp penalty.center=1", "penalty.center=1.0: ", "two_sided"),
    ("architecture.generator.outputs=3", "architecture: generates samples of shape [3]"),
    ("architecture.discriminator.outputs=2", "architecture.discriminator: gives [2] numbers"),
    # places
    ("out=/proc/x", "out=/proc/x: cannot write there"),
    ("out=a_file", "out=a_file: cannot write there"),
    ("out=a_file/below", "out=a_file/below: cannot write there"),
    # what cannot be read as an override, and flags
    ("seed=[0,1", "seed=[0,1: cannot be read", "brackets"),
    ('seed="0', 'seed="0: cannot be read', "quotes"),
    ("=3", "=3: not an override", "key=value"),
    ("seed", "seed: not an override", "key=value"),
    ("seed=0..3", "seed=0..3: 0 to 3 is written -m 'seed=range(4)'"),
    ("seed=0,1", "seed=0,1: several values are a sweep", "-m"),
    ("--nope", "--nope: no such flag"),
    ("--config-name=foo", "--config-name: not a flag of this command"),
    ("--config-dir=nowhere", "--config-dir=nowhere: no such folder"),
    ("--cfg nope", "argument --cfg", "'nope'", "'job'"),
    ("figure=zero_gp/fig1", "figure=zero_gp/fig1: a figure has many runs", "gp-lab figure"),
]  # fmt: skip


@pytest.mark.parametrize("case", OVERRIDES, ids=lambda case: case[0])
def test_gp_lab_train_names_what_is_wrong_and_starts_nothing(
    case: tuple[str, ...], refused: Refused, tmp_path: Path
) -> None:
    typed, begins, *also = case
    (tmp_path / "a_file").touch()
    words = typed.split()
    keys = {word.strip("+~").partition("=")[0].partition(".")[0] for word in words}
    small = [s for s in SMALL if s.partition("=")[0].partition(".")[0] not in keys]
    sentence = refused("train", *small, *words)
    assert sentence.startswith(begins)
    for word in also:
        assert word in sentence


@pytest.mark.skipif("__import__('torch').cuda.is_available()")
def test_a_gpu_that_is_not_there_is_named_with_what_is(refused: Refused) -> None:
    assert refused("train", *SMALL, "device=cuda").startswith("device=cuda: no GPU is available")


@pytest.mark.parametrize(
    ("sweep", "begins"),
    [
        (["seed=choice(0,-1)"], "seed=-1: must be at least 0"),
        (["seed=0,a"], "seed=a: not a whole number"),
        (["seed=0..3"], "seed=0..3: 0 to 3 is written 'seed=range(4)'"),
        (["seed=2..5"], "seed=2..5: 2 to 5 is written 'seed=range(2,6)'"),
        (["seed=interval(0,1)"], "seed=interval(0,1): a sweep lists its values"),
        (["seed=range(3,1)"], "seed=range(3,1): there is no value"),
        (["seed=choice()"], "seed=choice(): cannot be read"),
        (["penalty=none,nope"], "penalty=nope: no such choice"),
        (["penalty=none,one_gp", "penalty.wieght=1,2"], "penalty.wieght: no such key"),
        (["penalty=none,one_gp", "architecture.norm=none,batch"], "architecture.norm=batch: "),
        (["penalty=none,"], "penalty=none,: cannot be read"),
        (["out=out,a_file"], "out=a_file: cannot write there"),
        (["figure=zero_gp/fig1,wgan_gp/fig1a"], "figure=zero_gp/fig1,wgan_gp/fig1a: one figure"),
        (["hydra/launcher=basic"], "hydra/launcher=basic: no such choice"),
        (["hydra.launcher.max_stack=0"], "hydra.launcher.max_stack=0: not a whole number"),
        (["hydra.launcher.processes=-1"], "hydra.launcher.processes=-1: not a whole number"),
        (["hydra.launcher=null"], "hydra.launcher, hydra.sweeper: "),
        (["hydra.launcher._target_=os.system"], "hydra.launcher, hydra.sweeper: Invalid plugin"),
        (["seed=range(1,1e9)"], "seed=range(1,1e9): more than 100000 values"),
        (["seed=range(0,9,0)"], "seed=range(0,9,0): not the values of a sweep"),
        (["seed=range(1000)", "penalty.weight=range(1000)"], "architecture.width=8"),
        (["seed=0,00"], "seed=00: not a whole number"),
        (["seed=0,\N{SUPERSCRIPT TWO}"], "seed=0,\N{SUPERSCRIPT TWO}: cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_wrong_job_of_a_sweep_is_found_before_the_first_one_starts(
    sweep: list[str], begins: str, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "a_file").touch()
    if "out=" in sweep[0]:
        (tmp_path / "out" / "runs").mkdir(parents=True)
    keys = {word.partition("=")[0] for word in sweep}
    small = [s for s in SMALL if s.partition("=")[0] not in keys]
    assert refused("train", "-m", *small, *sweep).startswith(begins)


@pytest.mark.parametrize(
    ("command", "begins", "also"),
    [
        ("nope", "command=nope: no such choice", "figure"),
        ("trian", "command=trian: no such choice", "did you mean train?"),
        ("list nope", "list=nope: no such choice", "penalties"),
        ("list penalties losses", "losses: not expected here", "list [GROUP]"),
        ("figure", "figure: which one?", "gp-lab list figures"),
        ("figure nope", "figure=nope: no such choice", "zero_gp/fig1"),
        (
            "figure fig5",
            "figure=fig5: no such choice; did you mean anomalous/fig5 or lipschitz/fig5 or"
            " zero_gp/fig5?",
            "",
        ),
        ("figure none", "figure=none: no such choice", "zero_gp/fig1"),
        ("figure zero_gp/nope", "figure=zero_gp/nope: no such choice", "zero_gp/fig1"),
        ("figure zero_gp/fig1 scale=nope", "scale=nope: no such choice", "smoke"),
        ("figure zero_gp/fig1 penalty.wieght=1", "penalty.wieght: no such key", "weight"),
        ("figure zero_gp/fig1 scale=smoke steps=-1", "steps=-1: must be at least 1", ""),
        ("figure zero_gp/fig1 -m", "-m: ", "--cfg job"),
        ("figure zero_gp/fig1 --cfg all", "--cfg all: ", "--cfg job"),
        ("resume", "resume: which run?", "gp-lab resume RUN"),
        ("resume nowhere", "nowhere: no run there", "config.yaml"),
        ("report nowhere", "nowhere: no such folder", "gp-lab report"),
        ("clean nowhere", "nowhere: no such folder", "gp-lab clean"),
        ("clean --no", "--no: not expected here", "--yes"),
        ("compare nowhere", "nowhere: no such folder; write gp-lab compare [OUTPUTS]", ""),
        ("-sc", "-sc: write gp-lab -sc install=SHELL", ""),
        ("-sc install=nope", "install=nope: no such choice", "fish"),
    ],
    ids=lambda value: value,
)
def test_every_command_says_what_it_cannot_do(
    command: str, begins: str, also: str, refused: Refused
) -> None:
    sentence = refused(*command.split())
    assert sentence.startswith(begins)
    assert also in sentence


def test_an_entry_without_runs_says_so() -> None:
    with pytest.raises(BadInput, match="figure=mine: its file has no grid of runs"):
        panel_overrides({"id": "mine", "scales": {"paper": {}}}, "paper", {})
    entry = {"id": "mine", "grid": {"method": {"a": []}}, "scales": {"smoke": {"seeds": 1}}}
    with pytest.raises(BadInput, match=r"figure=mine scale=paper: no such choice.*smoke"):
        panel_overrides(entry, "paper", {})


def test_the_users_own_yaml_is_found_and_its_faults_named(
    tmp_path: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    group = tmp_path / "mine" / "penalty"
    group.mkdir(parents=True)
    text = "name: mild\n_target_: gp_lab.objectives.penalties.Penalty\nweight: 0.5\n"
    (group / "mild.yaml").write_text(text)
    (group / "broken.yaml").write_text("name: [\n")
    own = ["--config-dir=mine", *SMALL, "probe=[]"]
    assert "not YAML" in refused("train", *own, "penalty=broken")
    assert "mild" in refused("train", *own, "penalty=nope")
    assert main(["train", *own, "penalty=mild"]) == Exit.OK


def test_a_copied_file_that_kept_its_name_is_told_what_it_must_say(
    tmp_path: Path, refused: Refused
) -> None:
    group = tmp_path / "mine" / "penalty"
    group.mkdir(parents=True)
    shutil.copy(config_folder() / "penalty" / "one_gp.yaml", group / "copied.yaml")
    sentence = refused("train", f"--config-dir={tmp_path / 'mine'}", *SMALL, "penalty=copied")
    path = group / "copied.yaml"
    assert sentence == (
        f"{path}: says name: one_gp; it must say name: copied, as the file is named"
    )


@pytest.mark.parametrize("typed", ["train penalty=foo", "train steps=0", "nope"])
def test_the_console_script_itself_exits_with_2(typed: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gp_lab", *typed.split()]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dataset", ["mnist", "cifar10", "image_folder", "text"])
def test_data_that_are_no_points_have_no_surface_unless_it_is_asked_for(dataset: str) -> None:
    with hydra_session() as hydra:
        assert list(compose(hydra, [f"dataset={dataset}"])["probe"]) == ["samples"]
        asked = compose(hydra, [f"dataset={dataset}", "probe=[surface,loss]"])
        assert list(asked["probe"]) == ["surface", "loss"]
        assert list(compose(hydra, [])["probe"]) == ["surface", "samples", "modes"]


def test_a_surface_of_images_is_refused(refused: Refused, tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", np.zeros((8, 3, 64, 64), np.uint8))
    sentence = refused(
        "train", "dataset=image_array", "dataset.root=.", "architecture=mlp_lsun",
        "architecture.filters=4", "batch_size=2", "probe=[surface]", "tracking=none",
    )  # fmt: skip
    assert sentence.startswith("probe.surface: looks at the plane, but the samples have shape")
