"""precision=bf16 against fp32: what a convolution casts, and how far runs part in 500 steps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stacks import bare
from torch.func import functional_call, grad

from gp_lab.cli import main
from gp_lab.networks.convolution import UpConvolution
from gp_lab.training.trainer import train

REFERENCE = Path(__file__).parents[3] / "outputs" / "reference"

POINTS = ("architecture.width=32", "batch_size=32", "optimizer.lr=1e-4")
IMAGES = (
    *("architecture=dcgan_mnist", "architecture.size=16", "architecture.filters=4"),
    *("dataset=mnist_5k_16", "dataset.pixels=zero_one", "batch_size=16", "optimizer.lr=1e-4"),
)

BLOCKS = 10
"""Of steps, over each of which the losses are averaged: single steps are noise."""

BAND = 0.1
"""Of the range that the means of fp32 go through."""


@pytest.mark.parametrize(
    ("run", "steps"),
    [
        pytest.param(POINTS, 500, marks=pytest.mark.seconds, id="points"),
        pytest.param(IMAGES, 60, marks=pytest.mark.seconds, id="images"),
        pytest.param(IMAGES, 500, marks=pytest.mark.slow, id="images, long"),
    ],
)
def test_the_critics_loss_in_bf16_keeps_within_a_tenth_of_its_range_in_fp32(
    run: tuple[str, ...], steps: int, tmp_path: Path
) -> None:
    def means(precision: str) -> np.ndarray:
        more = (f"precision={precision}", f"steps={steps}", "log_every=1", f"out={tmp_path}")
        (result,) = train([bare(*run, *more)], progress=False)
        losses = [line["loss_d"] for line in result.folder.metrics()]
        return np.reshape(losses, (BLOCKS, -1)).mean(1)

    exact, near = means("fp32"), means("bf16")
    assert not np.array_equal(exact, near)
    assert np.abs(near - exact).max() < BAND * np.ptp(exact)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["lipschitz/fig3", "lipschitz/sec32"])
def test_an_entry_in_bf16_comes_to_the_verdicts_of_fp32(entry: str, tmp_path: Path) -> None:
    assert main(["figure", entry, "precision=bf16", "tracking=none", f"out={tmp_path}"]) == 0
    (path,) = tmp_path.glob(f"figures/{entry}/*/claims.json")

    def verdicts(file: Path) -> dict[str, str]:
        return {claim["text"]: claim["verdict"] for claim in json.loads(file.read_text())["claims"]}

    assert verdicts(path) == verdicts(REFERENCE / entry / "miniature" / "claims.json")


@pytest.mark.parametrize("autocast", [False, True])
def test_a_transposed_convolution_in_bf16_is_near_the_one_in_fp32(autocast: bool) -> None:
    torch.manual_seed(0)
    layer, x, weight = UpConvolution(16, 8, 5), torch.randn(4, 16, 4, 4), torch.randn(4, 8, 8, 8)
    torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    params = {k: p.detach() for k, p in layer.named_parameters()}

    def value(params: dict[str, torch.Tensor], lower: bool) -> tuple[torch.Tensor, torch.Tensor]:
        dtype = torch.bfloat16 if lower and not autocast else torch.float32
        with torch.autocast("cpu", torch.bfloat16, enabled=lower and autocast):
            own = {k: p.to(dtype) for k, p in params.items()}
            y = functional_call(layer, own, (x.to(dtype),))
        assert y.dtype == (torch.bfloat16 if lower else torch.float32)
        return (y.float() * weight).sum(), y.float()

    (exact, y), (near, y_near) = (
        grad(value, has_aux=True)(params, lower) for lower in (False, True)
    )
    torch.testing.assert_close(y_near, y, rtol=0.02, atol=0.02)
    for name in params:
        torch.testing.assert_close(
            near[name], exact[name], rtol=0.05, atol=0.05 * float(exact[name].std())
        )
