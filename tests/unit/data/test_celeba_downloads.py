"""CelebA is fetched where it is missing, and unpacked again where half of it is there."""

import hashlib
import importlib
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from image_files import (
    configured,
    encoded,
    picture,
)

from gp_lab.data import pictures, sources
from gp_lab.data.images import Images
from gp_lab.data.prepared import prepared_folder
from gp_lab.data.torchvision_import import import_torchvision
from gp_lab.errors import BadInput

pytestmark = pytest.mark.skipif(
    find_spec("torchvision") is None, reason="torchvision is not installed"
)


def celeba(root: Path, download: bool = True) -> Images:
    small = {"crop": None, "image_size": 8, "download": download}
    return configured("celeba", root=str(root), source=small)


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As if gdown were here, and three pictures all of CelebA; the files that were asked for."""
    import_torchvision()
    of_torchvision: Any = importlib.import_module("torchvision.datasets.celeba")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for i in range(3):
            file.writestr(f"img_align_celeba/{i}.png", encoded(picture(seed=i)))
    tables = {
        "list_eval_partition.txt": "0.png 0\n", "identity_CelebA.txt": "0.png 0\n",
        **dict.fromkeys(
            ("list_attr_celeba.txt", "list_bbox_celeba.txt", "list_landmarks_align_celeba.txt"),
            "1\nsmiles\n0.png 1\n",
        ),
    }  # fmt: skip
    contents = {"img_align_celeba.zip": archive.getvalue()}
    contents |= {name: text.encode() for name, text in tables.items()}
    asked: list[str] = []

    def fetch(file_id: str, root: str, filename: str, md5: str) -> None:
        path = Path(root, filename)
        if not path.exists() or hashlib.md5(path.read_bytes()).hexdigest() != md5:
            asked.append(filename)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[filename])

    sums = [("", hashlib.md5(data).hexdigest(), name) for name, data in contents.items()]
    monkeypatch.setattr(of_torchvision.CelebA, "file_list", sums)
    monkeypatch.setattr(of_torchvision, "download_file_from_google_drive", fetch)
    monkeypatch.setattr(sources, "find_spec", lambda name: name)
    monkeypatch.setattr(pictures, "CELEBA", 3)
    return asked


def test_celeba_is_downloaded_once_and_found_where_torchvision_puts_it(
    drive: list[str], tmp_path: Path
) -> None:
    for _ in range(2):
        assert len(celeba(tmp_path).source.load().train.images) == 3
    assert drive.count("img_align_celeba.zip") == 1
    assert len(celeba(tmp_path, download=False).source.load().train.images) == 3
    # scripts/prepare.py's arrays are the same ones with and without the key
    folders = {prepared_folder(celeba(tmp_path, download=d).source) for d in (True, False)}
    assert len(folders) == 1


def test_a_celeba_that_was_unpacked_in_part_is_unpacked_again(
    drive: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(celeba(tmp_path).source.load().train.images) == 3
    there = tmp_path / "celeba" / "img_align_celeba"
    (there / "1.png").unlink()
    with pytest.raises(BadInput, match=r"align_celeba: 2 of 3 images; fetch it again"):
        celeba(tmp_path, download=False).source.load()
    drive.clear()
    assert len(celeba(tmp_path).source.load().train.images) == 3
    assert drive == []  # the archive was whole
    assert "2 of 3 images; set aside as img_align_celeba.damaged" in caplog.text
    assert len(list(there.with_name("img_align_celeba.damaged").iterdir())) == 2


def test_a_celeba_that_cannot_be_fetched_is_named(
    drive: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=r"there is no folder .*dataset\.download=true fetches them"):
        celeba(tmp_path / "none", download=False).source.load()

    class TooMany(Exception):
        """What gdown raises is of no kind in particular."""

    def busy(root: str, download: bool) -> None:
        raise TooMany("Too many users have viewed this file\nlong story")

    half = tmp_path / "b" / "celeba" / "img_align_celeba"
    half.mkdir(parents=True)
    (half / "0.png").write_bytes(encoded(picture()))
    monkeypatch.setattr(importlib.import_module("torchvision.datasets"), "CelebA", busy)
    with pytest.raises(BadInput, match=r"CelebA cannot be downloaded \(Too many .* this file\)"):
        celeba(tmp_path / "b").source.load()
    assert [path.name for path in half.parent.iterdir()] == [half.name]
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"package gdown, which is not installed; pip install gdown"):
        celeba(tmp_path / "b").source.load()
    assert [path.name for path in half.parent.iterdir()] == [half.name]
