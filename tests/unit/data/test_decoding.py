"""A picture becomes what a viewer shows of it: upright, on white, its first frame."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import rng
from image_files import encoded, picture
from PIL import Image

from gp_lab.data import sources
from gp_lab.data.decoding import decode
from gp_lab.data.images import Images
from gp_lab.data.pictures import ImageFolder
from gp_lab.errors import BadInput

SIZE = 8
COLOUR, GREY = (ImageFolder("nowhere", image_size=SIZE, channels=c) for c in (3, 1))

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters() -> Image.Image:
    """Red and green above, blue and white below."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    half = SIZE // 2
    pixels[:half, :half], pixels[:half, half:] = RED, GREEN
    pixels[half:, :half], pixels[half:, half:] = BLUE, WHITE
    return Image.fromarray(pixels)


def left_half_see_through(image: Image.Image, alpha: int = 0) -> Image.Image:
    """A picture with an alpha channel: `alpha` on the left, opaque on the right."""
    mask = np.full((SIZE, SIZE), 255, np.uint8)
    mask[:, : SIZE // 2] = alpha
    image = image.copy()
    image.putalpha(Image.fromarray(mask))
    return image


def saved(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def corners(data: bytes, source: ImageFolder = COLOUR) -> list[list[int]]:
    """Upper left, upper right, lower left, lower right."""
    pixels = decode("it", data, source)
    return [pixels[:, y, x].tolist() for y in (0, -1) for x in (0, -1)]


def palette_with_a_see_through_left_half() -> Image.Image:
    image = left_half_see_through(quarters()).quantize(8)
    assert image.mode == "P"
    return image


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved(left_half_see_through(quarters())), [WHITE, GREEN, WHITE, WHITE]),
        (saved(left_half_see_through(quarters(), 128)), [(255, 127, 127), GREEN,
                                                         (127, 127, 255), WHITE]),
        (saved(left_half_see_through(quarters()), "WEBP", lossless=True),
         [WHITE, GREEN, WHITE, WHITE]),
        (saved(left_half_see_through(quarters().convert("L"))), [WHITE, (150,) * 3, WHITE, WHITE]),
        (saved(palette_with_a_see_through_left_half()), [WHITE, GREEN, WHITE, WHITE]),
        (saved(quarters(), transparency=RED), [WHITE, GREEN, BLUE, WHITE]),
        (saved(quarters().convert("L"), transparency=29), [(76,) * 3, (150,) * 3, WHITE, WHITE]),
        (saved(Image.new("1", (SIZE, SIZE)), transparency=0), [WHITE] * 4),
    ],
    ids=["RGBA", "half", "WebP", "LA", "palette", "RGB+tRNS", "L+tRNS", "1+tRNS"],
)  # fmt: skip
def test_what_is_transparent_is_white_however_the_file_says_so(
    data: bytes, expected: list[tuple[int, ...]]
) -> None:
    found = np.array(corners(data))
    assert np.abs(found - np.array(expected)).max() <= 1
    grey = np.array(Image.fromarray(np.array([expected], np.uint8)).convert("L"))[0]
    assert np.abs(np.array(corners(data, GREY))[:, 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_is_none(kind: str, mode: str) -> None:
    plain = quarters() if mode == "RGBA" else quarters().convert("L")
    settings = {"lossless": True} if kind == "WEBP" else {}
    notes: list[str] = []
    opaque = decode("it", saved(plain.convert(mode), kind, **settings), COLOUR, notes)
    np.testing.assert_array_equal(opaque, decode("it", saved(plain), COLOUR))
    assert notes == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (8, [GREEN, WHITE, RED, BLUE]),
        (2, [GREEN, RED, WHITE, BLUE]),
    ],
)
def test_a_picture_is_turned_as_its_camera_says(
    kind: str, orientation: int, upright: list[tuple[int, ...]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = quarters().resize((64, 64), Image.Resampling.NEAREST)
    settings: dict[str, Any] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    found = np.array(corners(saved(large, kind, exif=exif, **settings)))
    assert np.abs(found - np.array(upright)).max() <= 8


def test_a_turned_picture_is_cut_after_it_is_turned() -> None:
    tall = Image.new("RGB", (SIZE, 3 * SIZE), RED)
    tall.paste(quarters(), (0, SIZE))
    lying = tall.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert corners(saved(lying, exif=exif)) == [list(c) for c in (RED, GREEN, BLUE, WHITE)]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"\xff" * 30, b"Exif\0\0MM\0*\0\0\0\x08\0\1"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_words_of_a_camera_are_passed_over(kind: str, exif: bytes) -> None:
    whole = quarters().resize((64, 64), Image.Resampling.NEAREST)
    with_it, without = (corners(saved(whole, kind, **e)) for e in ({"exif": exif}, {}))
    assert with_it == without


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_of_several_frames_the_first_is_taken_and_noted(kind: str) -> None:
    settings = {"lossless": True} if kind == "WEBP" else {}
    black = Image.new("RGB", (SIZE, SIZE))
    data = saved(quarters(), kind, save_all=True, append_images=[black], **settings)
    notes: list[str] = []
    decode("it", data, COLOUR, notes)
    assert notes == ["images of several frames, of which the first is taken"]
    assert corners(data) == [list(c) for c in (RED, GREEN, BLUE, WHITE)]


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (np.zeros((4, 4), np.uint16), "PNG"),
        (np.zeros((4, 4), np.int32), "TIFF"),
        (np.zeros((4, 4), np.float32), "TIFF"),
    ],
)
def test_more_than_eight_bits_are_refused_and_not_cut_off(pixels: np.ndarray, kind: str) -> None:
    with pytest.raises(BadInput, match=r"it: pixels of mode (I;16|I|F); images are grey or colour"):
        decode("it", saved(Image.fromarray(pixels), kind), COLOUR)


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>"])
def test_what_is_no_picture_is_said_without_an_address_in_memory(data: bytes) -> None:
    with pytest.raises(
        BadInput, match=r"^it: the image is truncated or damaged \(it is of no kind"
    ):
        decode("it", data, COLOUR)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Three plain pictures, two with transparent parts, one of two frames."""
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(encoded(picture(SIZE, SIZE, seed=i)))
    for i in (3, 4):
        (tmp_path / f"{i}.png").write_bytes(saved(left_half_see_through(quarters())))
    frames = {"save_all": True, "append_images": [Image.new("RGB", (SIZE, SIZE))]}
    (tmp_path / "5.png").write_bytes(saved(quarters(), **frames))
    return tmp_path


def test_how_many_pictures_were_not_as_they_are_shown_is_said_once(
    mixed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ImageFolder(str(mixed), image_size=SIZE).load()
    said = sorted(record.message.partition(": ")[2] for record in caplog.records)
    assert said == [
        "images of several frames, of which the first is taken: 1 of 6",
        "images with transparent parts, which are laid on white: 2 of 6",
    ]


def test_pictures_that_are_decoded_when_drawn_say_it_once(
    mixed: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gp_lab.data.pictures.IN_MEMORY", 0)
    images = Images(ImageFolder(str(mixed), image_size=SIZE)).prepare(rng())
    sources.loaded.cache_clear()
    caplog.clear()
    for seed in range(3):
        images.draw(rng(seed), 12)
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert sum("there are images with transparent parts" in line for line in said) == 1
    assert images.draw(rng(), 6).dtype == torch.float32
