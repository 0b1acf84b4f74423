"""Published sets are fetched where they are missing, and again where half of them is there."""

import gzip
import hashlib
import http.server
import importlib
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import (
    idx_bytes,
    python_2_batch,
    random_bytes,
    write_mnist,
)

from gp_lab.data import cifar, digits, sources
from gp_lab.data.cifar import CIFAR10
from gp_lab.data.digits import MNIST, FashionMNIST
from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput

pytestmark = pytest.mark.skipif(
    find_spec("torchvision") is None, reason="torchvision is not installed"
)


Served = tuple[Path, str, list[str]]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A folder, the address under which a server of this machine has it, and what it was asked."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            if self.command == "GET":
                asked.append(self.path)

    serve = partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    yield folder, f"http://127.0.0.1:{server.server_address[1]}/", asked
    server.shutdown()
    server.server_close()
    thread.join()


IDX = [
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]


@pytest.fixture(params=[MNIST, FashionMNIST], ids=lambda kind: kind.__name__)
def publish(
    request: pytest.FixtureRequest,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> tuple[Any, Path, list[str]]:
    """20 digits as the published set: its source with download, torchvision's folder, the asked."""
    folder, url, asked = served
    kind = request.param
    write_mnist(folder)
    of_torchvision = getattr(import_torchvision().datasets, kind.__name__)
    packed = {name: (folder / f"{name}.gz").read_bytes() for name in IDX}
    sums = [(f"{name}.gz", hashlib.md5(data).hexdigest()) for name, data in packed.items()]
    monkeypatch.setattr(of_torchvision, "mirrors", [url])
    monkeypatch.setattr(of_torchvision, "resources", sums)
    own = {name.rpartition("-idx")[0]: hashlib.md5(gzip.decompress(data)).hexdigest()
           for name, data in packed.items()}  # fmt: skip
    monkeypatch.setattr(digits, "MNIST_MD5", own)
    monkeypatch.setattr(digits, "FASHION_MD5", own)
    monkeypatch.setattr(digits, "DEBIAN_FASHION", tmp_path / "none")
    root = tmp_path / "root"
    return kind(str(root), download=True), root / kind.__name__ / "raw", asked


def assert_whole(source: Any) -> None:
    parts = source.load()
    np.testing.assert_array_equal(parts.train.images[:, 0], random_bytes(20, 28, 28))
    assert len(parts.held_out.images) == 10


def test_what_is_missing_is_fetched_once(publish: tuple[Any, Path, list[str]]) -> None:
    source, _, asked = publish
    assert_whole(source)
    assert set(asked) == {f"/{name}.gz" for name in IDX}
    asked.clear()
    assert_whole(source)
    assert asked == []


def cut_packed(raw: Path) -> list[Path]:
    for path in raw.iterdir():
        if path.suffix != ".gz":
            path.unlink()
    path = raw / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1000])
    return [path]


def only_a_cut_archive(raw: Path) -> list[Path]:
    """As when torchvision was killed during its first file, which it fetches again by itself."""
    (archive,) = cut_packed(raw)
    for path in raw.iterdir():
        if path != archive:
            path.unlink()
    return []


def cut_unpacked(raw: Path) -> list[Path]:
    """As when torchvision was killed while it unpacked."""
    for path in raw.glob("*.gz"):
        path.unlink()
    found = [raw / "t10k-images-idx3-ubyte", raw / "train-labels-idx1-ubyte"]
    for path in found:
        path.write_bytes(path.read_bytes()[:-5])
    return found


def cut_both(raw: Path) -> list[Path]:
    found = sorted(raw.glob("train-images*"))
    assert len(found) == 2
    for path in found:
        path.write_bytes(path.read_bytes()[:100])
    return found


def others(raw: Path) -> list[Path]:
    """Whole, but not what was published."""
    for path in raw.glob("*.gz"):
        path.unlink()
    path = raw / "t10k-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.ones(10)))
    return [path]


def half_of_the_files(raw: Path) -> list[Path]:
    for path in raw.glob("t10k*"):
        path.unlink()
    return []


@pytest.mark.parametrize(
    "damage",
    [cut_packed, only_a_cut_archive, cut_unpacked, cut_both, others, half_of_the_files],
)
def test_half_a_download_is_fetched_again_and_what_was_there_is_set_aside(
    publish: tuple[Any, Path, list[str]],
    damage: Callable[[Path], list[Path]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, raw, asked = publish
    assert_whole(source)
    damaged = {path: path.read_bytes() for path in damage(raw)}
    asked.clear()
    without = type(source)(source.root, download=False)
    if damaged:
        with pytest.raises(BadInput, match=r"; fetch it again \(dataset.download=true does\)"):
            without.load()
        assert {path: path.read_bytes() for path in damaged} == damaged
    assert_whole(source)
    assert asked
    for path, data in damaged.items():
        assert path.with_name(f"{path.name}.damaged").read_bytes() == data
        assert f"set aside as {path.name}.damaged and fetched again" in caplog.text
    assert_whole(without)


def test_files_of_ones_own_place_give_way_to_what_is_fetched(
    publish: tuple[Any, Path, list[str]],
) -> None:
    source, raw, _ = publish
    mine = Path(source.root, "train-images.idx3-ubyte")
    write_mnist(mine.parent)
    mine.with_name("train-images-idx3-ubyte.gz").unlink()
    mine.write_bytes(b"half")
    assert_whole(source)
    assert mine.with_name(f"{mine.name}.damaged").read_bytes() == b"half"
    assert raw.is_dir()


def test_another_damaged_file_gets_another_name(publish: tuple[Any, Path, list[str]]) -> None:
    source, raw, _ = publish
    for content in (b"first", b"second"):
        assert_whole(source)
        (raw / "train-images-idx3-ubyte.gz").unlink()
        (raw / "train-images-idx3-ubyte").write_bytes(content)
    assert_whole(source)
    name = "train-images-idx3-ubyte.damaged"
    assert [(raw / f"{name}{n}").read_bytes() for n in ("", "2")] == [b"first", b"second"]


def test_what_is_damaged_is_put_back_if_nothing_better_can_be_had(
    publish: tuple[Any, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, raw, _ = publish
    assert_whole(source)
    (path,) = others(raw)
    before = {p.name: p.read_bytes() for p in raw.iterdir()}
    name = type(source).__name__

    def unreachable(root: str, download: bool) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nlong story")

    monkeypatch.setattr(import_torchvision().datasets, name, unreachable)
    with pytest.raises(BadInput, match=rf"{name} cannot be downloaded \(Error downloading train"):
        source.load()
    assert {p.name: p.read_bytes() for p in raw.iterdir()} == before
    monkeypatch.setattr(sources, "import_torchvision", lambda: importlib.import_module("no_such"))
    with pytest.raises(BadInput, match="torchvision does the download and is not installed"):
        source.load()
    assert path.exists()


def test_a_file_that_cannot_be_read_is_not_taken_for_a_damaged_one(
    publish: tuple[Any, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, raw, asked = publish
    assert_whole(source)
    before, asked[:] = sorted(raw.iterdir()), []

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(digits.gzip, "open", refuse)
    with pytest.raises(BadInput, match=r"cannot be read \(Permission denied\)"):
        source.load()
    assert (sorted(raw.iterdir()), asked) == (before, [])


# -- CIFAR-10 ------------------------------------------------------------------------------


@pytest.fixture
def batches(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[CIFAR10, Path, np.ndarray]:
    """CIFAR-10 in small, fetched: its source with download, torchvision's folder, its pixels."""
    folder, url, _ = served
    rows = random_bytes(6 * 4, 3072)
    (folder / "cifar-10-batches-py").mkdir()
    for name, some in zip(cifar.MD5, np.split(rows, 6), strict=True):
        data = python_2_batch(some, [0, 1, 2, 3])
        (folder / "cifar-10-batches-py" / name).write_bytes(data)
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder / "cifar-10-batches-py", "cifar-10-batches-py")
    own = {name: hashlib.md5((folder / "cifar-10-batches-py" / name).read_bytes()).hexdigest()
           for name in cifar.MD5}  # fmt: skip
    monkeypatch.setattr(cifar, "MD5", own)
    of_torchvision: Any = import_torchvision().datasets.CIFAR10
    monkeypatch.setattr(of_torchvision, "url", f"{url}{archive.name}")
    monkeypatch.setattr(of_torchvision, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(of_torchvision, "train_list", [[n, own[n]] for n in cifar.TRAIN])
    monkeypatch.setattr(of_torchvision, "test_list", [["test_batch", own["test_batch"]]])
    monkeypatch.setattr(of_torchvision, "_load_meta", lambda _: None)
    source = CIFAR10(str(tmp_path / "root"), download=True)
    return source, tmp_path / "root" / "cifar-10-batches-py", rows[:20].reshape(-1, 3, 32, 32)


def cut_a_batch(there: Path) -> None:
    (there / "data_batch_3").write_bytes((there / "data_batch_3").read_bytes()[:100])


def cut_the_archive(there: Path) -> None:
    for path in there.iterdir():
        path.unlink()
    archive = there.with_name("cifar-10-python.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-50])


def lose_a_batch(there: Path) -> None:
    (there / "test_batch").unlink()


def cut_one_of_ones_own(there: Path) -> None:
    for path in there.iterdir():
        path.rename(there.parent / path.name)
    cut_a_batch(there.parent)


@pytest.mark.parametrize(
    "damage", [cut_a_batch, cut_the_archive, lose_a_batch, cut_one_of_ones_own]
)
def test_half_of_cifar_is_fetched_again(
    batches: tuple[CIFAR10, Path, np.ndarray], damage: Callable[[Path], None]
) -> None:
    source, there, pixels = batches
    np.testing.assert_array_equal(source.load().train.images, pixels)
    damage(there)
    parts = source.load()
    np.testing.assert_array_equal(parts.train.images, pixels)
    assert parts.held_out is not None
    without = CIFAR10(source.root)
    np.testing.assert_array_equal(without.load().train.images, pixels)
