"""The Inception network of FID and of the Inception score: pool3 features and logits in one pass.

The network and its weights are pytorch-fid's, ported from the TensorFlow graph of 2015-12-05 that
the papers' scores were made with (wgan_gp, Table 3; mu_wgan, Table 2;
zero_gp, Fig. 4; anomalous, Table 1).
"""

import copy
import hashlib
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput
from gp_lab.evaluation.frechet import Moments
from gp_lab.evaluation.inception_score import SPLITS, SplitSums, splits_of
from gp_lab.files import alone, opened
from gp_lab.signals import served

WEIGHTS_SHA256 = "6726825d"
"""How the SHA-256 of the weights' file begins: its name, pt_inception-2015-12-05-6726825d.pth."""
FEATURES = 2048
CLASSES = 1008
SIDE = 299
AT_ONCE = 512
"""Images that a GPU sees at once: some 5 GB."""

Precision = Literal["fp32", "bf16"]


class Inception(nn.Module):
    """Images to pool3 features and logits, in float32, evaluation mode, without gradients.

    Made by `load_inception` or `random_inception`.

    identity: what the weights are (the file's SHA-256, or the seed), and in what precision they are
    used, for caches of statistics. In bf16 the convolutions are computed so, all else in float32.
    """

    def __init__(self, identity: str, precision: Precision = "fp32") -> None:
        super().__init__()
        self.identity = identity if precision == "fp32" else f"{identity}-{precision}"
        self.precision = precision
        self._folded: tuple[torch.device, Any] | None = None
        with torch.random.fork_rng(devices=[]):  # its weights are drawn, and then replaced
            self.net = _network()
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode: scores come from fixed statistics."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pool3 features `[n, 2048]` and logits `[n, 1008]` of images in [-1, 1].

        Images are `[n, channels, h, w]`, of one channel or three. They are rounded to the 256
        levels of the files that published scores are made from, grey ones repeated over three
        channels, and resized as pytorch-fid does: bilinearly to 299 x 299 (corners not aligned, no
        smoothing). The logits are without the layer's bias, as in the Inception score's original
        code. Raises ValueError for another shape.
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"images [n, 1 or 3, h, w] wanted, got {list(images.shape)}")
        weight = self.net.fc.weight
        x = as_levels(images.to(weight.device)) / 255
        x = F.interpolate(
            x.expand(-1, 3, -1, -1), size=(SIDE, SIDE), mode="bilinear", align_corners=False
        )
        bf16 = torch.autocast(weight.device.type, torch.bfloat16, self.precision == "bf16")
        with bf16:
            pooled = self._pool3((2 * x - 1).contiguous(memory_format=torch.channels_last)).float()
        return pooled, pooled @ weight.T

    def _as_computed(self, device: torch.device) -> Any:
        """The network as it is computed: batch norm is part of the convolutions, and the channels
        of a pixel lie beside one another."""
        if self._folded is None or self._folded[0] != device:
            net = copy.deepcopy(self.net)
            for block in list(net.modules()):
                if isinstance(getattr(block, "bn", None), nn.BatchNorm2d):
                    block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
            self._folded = device, net.to(memory_format=torch.channels_last)
        return self._folded[1]

    def _pool3(self, x: Tensor) -> Tensor:
        net = self._as_computed(x.device)
        x = net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(x)))
        x = net.Conv2d_4a_3x3(net.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = net.Mixed_5d(net.Mixed_5c(net.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = net.Mixed_6c(net.Mixed_6b(net.Mixed_6a(x)))
        x = net.Mixed_6e(net.Mixed_6d(x))
        return net.Mixed_7c(net.Mixed_7b(net.Mixed_7a(x))).mean((2, 3))


def as_levels(images: Tensor) -> Tensor:
    """Images in [-1, 1] as levels 0, 1, ..., 255 (float32), clipped, as a PNG file holds them."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255)


def load_inception(
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    sha256: str = WEIGHTS_SHA256,
    precision: Precision = "fp32",
) -> Inception:
    """The network with the published weights: from a file, or downloaded once if there is none.

    `weights` is the path of pt_inception-2015-12-05-6726825d.pth; `sha256` is how its SHA-256 has
    to begin. A download is kept in PyTorch's hub folder (TORCH_HOME). The file is read as tensors
    only. Raises BadInput for a missing or different file, or where the download fails, and
    StoppedEarly where a signal asks for a stop before it has come.
    """
    path = _download(_pytorch_fid().FID_WEIGHTS_URL) if weights is None else Path(weights)
    network = Inception(f"inception-{checked_weights(path, sha256)}", precision)
    network.net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(device)


def checked_weights(path: Path, sha256: str = WEIGHTS_SHA256) -> str:
    """The SHA-256 of a weights' file, 64 digits. Raises BadInput if it does not begin as `sha256`,
    or if there is no such file."""
    url = _pytorch_fid().FID_WEIGHTS_URL
    if not path.is_file():
        raise BadInput(f"weights={path}: no such file; download it from {url}, or set null")
    found = _sha256(path)
    if not found.startswith(sha256):
        raise BadInput(
            f"weights={path}: not the Inception weights (its SHA-256 begins with {found[:8]},"
            f" not {sha256}); download it again from {url}, or set null"
        )
    return found


def random_inception(
    seed: int = 0, device: torch.device | str = "cpu", precision: Precision = "fp32"
) -> Inception:
    """The network with random weights (He et al. 2015), the same for the same seed: for tests.

    Its scores mean nothing beside published ones.
    """
    network = Inception(f"random-{seed}", precision)
    rng = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network.to(device)


class Scan(NamedTuple):
    """What the scores need of images: sums, which are added over ranks, and the pool3 features
    `[kept, 2048]` of those among the first."""

    moments: Moments
    sums: SplitSums
    features: Tensor


def scan(
    batches: Iterable[Tensor],
    network: Inception,
    samples: int,
    start: int = 0,
    splits: int = SPLITS,
    keep: int = 0,
) -> Scan:
    """What FID and the Inception score need of images `[n, c, h, w]`, batch after batch.

    `samples` is how many there are on all ranks, `start` the place of this rank's first among
    them; features are kept of those among the first `keep` of all. Raises ValueError as `splits_of`
    does.
    """
    device = network.net.fc.weight.device
    moments = Moments.none(FEATURES, device)
    sums = SplitSums.none(CLASSES, splits, device)
    kept = torch.empty(0, FEATURES, device=device)
    for images in together(batches, device):
        pooled, logits = network(images)
        split = splits_of(start, len(images), samples, splits)
        moments += Moments.of(pooled)
        sums += SplitSums.of(logits.double().softmax(1), split, splits)
        kept = torch.cat([kept, pooled[: keep - start]]) if start < keep else kept
        start += len(images)
    return Scan(moments, sums, kept)


def together(batches: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Images `[n, c, h, w]` batch after batch: on a GPU in larger ones, `AT_ONCE` or some more."""
    waiting: list[Tensor] = []
    for images in batches:
        waiting.append(images)
        if device.type != "cuda" or sum(map(len, waiting)) >= AT_ONCE:
            yield torch.cat(waiting) if len(waiting) > 1 else images
            waiting = []
    if waiting:
        yield torch.cat(waiting)


def _network() -> Any:
    """torchvision's Inception with the blocks that pytorch-fid patches; random weights.

    As `pytorch_fid.inception.fid_inception_v3`, which cannot be had without a download.
    """
    fid = _pytorch_fid()
    net = import_torchvision().models.inception_v3(
        num_classes=CLASSES, aux_logits=False, weights=None, init_weights=False
    )
    net.Mixed_5b = fid.FIDInceptionA(192, pool_features=32)
    net.Mixed_5c = fid.FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
    net.Mixed_6b = fid.FIDInceptionC(768, channels_7x7=128)
    net.Mixed_6c = fid.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6d = fid.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6e = fid.FIDInceptionC(768, channels_7x7=192)
    net.Mixed_7b = fid.FIDInceptionE_1(1280)
    net.Mixed_7c = fid.FIDInceptionE_2(2048)
    return net


def _pytorch_fid() -> Any:
    try:
        import_torchvision()
        return importlib.import_module("pytorch_fid.inception")
    except ImportError as error:
        raise BadInput(
            f"Inception scores need pytorch-fid and torchvision, and {error.name} is not installed:"
            " pip install pytorch-fid torchvision"
        ) from error


def _sha256(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def downloaded() -> Path:
    """Where in PyTorch's hub folder a download of the weights is kept."""
    name = str(_pytorch_fid().FID_WEIGHTS_URL).rsplit("/", 1)[1]
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def _download(url: str) -> Path:
    """The file in PyTorch's hub folder; half of one, as a kill leaves it, is fetched again."""
    path = downloaded()
    folder = path.parent
    with served("the Inception weights"), alone(path):
        if not path.is_file() or not _sha256(path).startswith(WEIGHTS_SHA256):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(url, str(path), WEIGHTS_SHA256, progress=False)
            except (URLError, OSError, RuntimeError) as error:
                raise BadInput(
                    f"weights=null: the Inception weights cannot be downloaded ({error}); put"
                    f" {url} here by hand and give its path"
                ) from error
    return path
