"""Decoding, against closed forms: what a value, a rotation or a blend must come to is written out here."""

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray
from PIL import Image, ImageCms

from gancolor.data.decoding import decode, is_plain
from gancolor.interfaces import Unreadable

COLORS = np.array([[[255, 0, 0], [0, 200, 0], [10, 20, 230]], [[0, 0, 0], [255, 255, 255], [90, 150, 30]]], np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"tmp ").replace(b"gXYZ", b"rXYZ").replace(b"tmp ", b"gXYZ")  # red and green primaries

# How a camera stores the upright picture (EXIF 2.3, table of orientations): where row 0 and column 0 of the file lie.
STORED = {
    1: lambda up: up,
    2: lambda up: up[:, ::-1],
    3: lambda up: up[::-1, ::-1],
    4: lambda up: up[::-1],
    5: lambda up: up.swapaxes(0, 1),
    6: lambda up: up.swapaxes(0, 1)[::-1],
    7: lambda up: up.swapaxes(0, 1)[::-1, ::-1],
    8: lambda up: up.swapaxes(0, 1)[:, ::-1],
}


def rgb(path: Path, min_side: int | None = None) -> ndarray:
    """Decoded pixels, H W 3, as signed integers."""
    return decode(path, min_side).permute(1, 2, 0).numpy().astype(int)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def smooth(height: int, width: int) -> ndarray:
    """A picture that survives JPEG."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [128 + 100 * np.sin(rows / 90), 128 + 100 * np.cos(columns / 70), 60 + 100 * columns / width]
    return np.stack(channels, axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif", "ppm", "tga", "jp2"])
def test_lossless_formats_keep_every_value(tmp_path: Path, suffix: str):
    Image.fromarray(COLORS).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(rgb(tmp_path / f"a.{suffix}"), COLORS)


def test_delivers_channels_first_and_writable(tmp_path: Path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    image = decode(tmp_path / "a.png")
    assert image.shape == (3, 2, 3)
    image += 1  # torch refuses or warns on read-only memory


@pytest.mark.parametrize(("suffix", "mode"), [("png", "I;16"), ("tif", "I;16"), ("tif", "I;16B"), ("pgm", "I")])
def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path: Path, suffix: str, mode: str):
    values = np.array([[0, 128, 129, 257, 30000], [32767, 40000, 65000, 65534, 65535]])
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    Image.frombytes(mode, (5, 2), values.astype(dtype).tobytes()).save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert image.mode == mode
    expected = np.round(values / 257)[..., None].repeat(3, axis=2)
    np.testing.assert_array_equal(rgb(tmp_path / f"a.{suffix}"), expected)


@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", 70000), ("I", -1)])
def test_numbers_without_an_agreed_white_are_refused(tmp_path: Path, mode: str, value: float):
    Image.new(mode, (4, 4), value).save(tmp_path / "a.tif")
    with pytest.raises(Unreadable, match=r"a\.tif: .*no agreed white"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L"])
def test_gray_becomes_three_equal_channels(tmp_path: Path, mode: str):
    gray = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    Image.fromarray(gray).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(rgb(tmp_path / "a.png"), gray[..., None].repeat(3, axis=2))


def test_alpha_is_laid_over_white(tmp_path: Path):
    alpha = np.array([[0, 64, 128], [200, 254, 255]], np.uint8)
    opacity = alpha[..., None] / 255
    Image.fromarray(np.dstack([COLORS, alpha])).save(tmp_path / "rgba.png")
    np.testing.assert_allclose(rgb(tmp_path / "rgba.png"), COLORS * opacity + 255 * (1 - opacity), atol=0.51)
    gray = COLORS[..., [2, 2, 2]]
    Image.fromarray(np.dstack([gray[..., 0], alpha])).save(tmp_path / "la.png")
    np.testing.assert_allclose(rgb(tmp_path / "la.png"), gray * opacity + 255 * (1 - opacity), atol=0.51)


def test_palette_with_transparency_is_laid_over_white(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([200, 0, 0, 0, 100, 50, 9, 8, 7])
    image.save(tmp_path / "partly.png", transparency=bytes([255, 51, 0]))
    image.save(tmp_path / "key.gif", transparency=1)
    np.testing.assert_array_equal(rgb(tmp_path / "partly.png"), [[[200, 0, 0], [204, 224, 214], [255, 255, 255]]])
    np.testing.assert_array_equal(rgb(tmp_path / "key.gif"), [[[200, 0, 0], [255, 255, 255], [9, 8, 7]]])


def test_a_transparent_color_of_an_rgb_image_is_white(tmp_path: Path):
    Image.fromarray(COLORS).save(tmp_path / "a.png", transparency=(0, 0, 0))
    np.testing.assert_array_equal(rgb(tmp_path / "a.png")[1, 0], [255, 255, 255])
    np.testing.assert_array_equal(rgb(tmp_path / "a.png")[0], COLORS[0])


@pytest.mark.parametrize(("suffix", "tolerance"), [("tif", 1), ("jpg", 2)])
def test_cmyk_is_ink_on_white(tmp_path: Path, suffix: str, tolerance: int):
    ink = (200, 30, 100, 60)
    Image.new("CMYK", (16, 16), ink).save(tmp_path / f"a.{suffix}")
    expected = (255 - np.array(ink[:3])) * (255 - ink[3]) / 255
    np.testing.assert_allclose(rgb(tmp_path / f"a.{suffix}")[8, 8], expected, atol=tolerance)


def test_ycck(tmp_path: Path):
    ink = (100, 80, 140, 60)
    Image.new("CMYK", (16, 16), ink).save(tmp_path / "a.jpg", quality=100)
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2  # the marker's last byte: the components are now read as YCbCr and K
    (tmp_path / "a.jpg").write_bytes(data)
    y, cb, cr, black = 255 - np.array(ink)  # Adobe stores CMYK inverted
    inverse = y + np.array([1.402 * (cr - 128), -0.344136 * (cb - 128) - 0.714136 * (cr - 128), 1.772 * (cb - 128)])
    np.testing.assert_allclose(rgb(tmp_path / "a.jpg")[8, 8], (255 - inverse) * black / 255, atol=2)


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientations_all_give_the_upright_picture(tmp_path: Path, orientation: int):
    stored = np.ascontiguousarray(STORED[orientation](COLORS))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif(orientation))
    np.testing.assert_array_equal(rgb(tmp_path / "a.png"), COLORS)


def test_an_icc_profile_is_converted_to_srgb(tmp_path: Path):
    Image.fromarray(COLORS).save(tmp_path / "a.png", icc_profile=SWAPPED)
    Image.fromarray(COLORS).save(tmp_path / "srgb.png", icc_profile=SRGB)
    np.testing.assert_allclose(rgb(tmp_path / "a.png"), COLORS[..., [1, 0, 2]], atol=1)
    np.testing.assert_allclose(rgb(tmp_path / "srgb.png"), COLORS, atol=1)


def test_an_icc_profile_is_converted_under_transparency(tmp_path: Path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 51)).save(tmp_path / "a.png", icc_profile=SWAPPED)
    np.testing.assert_allclose(rgb(tmp_path / "a.png")[0, 0], [204, 255, 204], atol=1)


@pytest.mark.parametrize("profile", [b"garbage", SWAPPED[:200], SWAPPED[:400]])
def test_a_broken_icc_profile_leaves_the_pixels(tmp_path: Path, profile: bytes):
    Image.fromarray(COLORS).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(rgb(tmp_path / "a.png"), COLORS)


def test_gray_with_a_color_profile_leaves_the_pixels(tmp_path: Path):
    Image.new("L", (2, 2), 77).save(tmp_path / "a.jpg", icc_profile=SWAPPED)
    np.testing.assert_array_equal(rgb(tmp_path / "a.jpg"), np.full((2, 2, 3), 77))


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("min_side", [1, 60, 63, 64, 100, 128, 129, 256, 400, 511, 512, 513, 5000])
def test_draft_is_the_smallest_scale_that_is_large_enough(tmp_path: Path, orientation: int, min_side: int):
    upright = smooth(512, 768)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "a.jpg", quality=95, exif=exif(orientation))
    image = rgb(tmp_path / "a.jpg", min_side)
    factor = next((f for f in (8, 4, 2) if 512 // f >= min_side), 1)
    assert image.shape == (512 // factor, 768 // factor, 3)
    boxes = upright.reshape(512 // factor, factor, 768 // factor, factor, 3).mean(axis=(1, 3))
    assert np.abs(image - boxes).mean() < 2


@pytest.mark.parametrize("size", [(201, 333), (257, 255), (1001, 77)])
@pytest.mark.parametrize("min_side", [16, 33, 64, 127])
def test_draft_of_odd_sizes_is_never_too_small(tmp_path: Path, size: tuple[int, int], min_side: int):
    Image.fromarray(smooth(*size)).save(tmp_path / "a.jpg")
    assert min(rgb(tmp_path / "a.jpg", min_side).shape[:2]) >= min(min_side, *size)


def test_min_side_leaves_other_formats_at_full_size(tmp_path: Path):
    Image.fromarray(COLORS).resize((64, 64)).save(tmp_path / "a.png")
    assert rgb(tmp_path / "a.png", 8).shape == (64, 64, 3)


def test_fifty_megapixels_are_fine(tmp_path: Path):
    Image.new("L", (8000, 6250), 99).save(tmp_path / "a.jpg")
    assert rgb(tmp_path / "a.jpg", 256).shape == (782, 1000, 3)
    assert decode(tmp_path / "a.jpg").shape == (3, 6250, 8000)


@pytest.mark.parametrize("side", [12, 20])  # Pillow warns above its limit and raises above twice the limit
@pytest.mark.parametrize("error", [True, False])
def test_a_decompression_bomb_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, error: bool):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (side, side)).save(tmp_path / "bomb.png")
    warnings.simplefilter("error" if error else "ignore")  # pytest restores the filters after each test
    with pytest.raises(Unreadable, match=r"bomb\.png: .*limit of \d+ pixels"):
        decode(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        ("jpg", lambda data: data[: len(data) * 2 // 3]),
        ("jpg", lambda data: data[:30]),
        ("jpg", lambda data: b""),
        ("jpg", lambda data: b"<html>404 Not Found</html>"),
        ("png", lambda data: data[: len(data) // 2]),
        ("png", lambda data: data[:100] + bytes(200) + data[300:]),
        ("blp", lambda data: data[:4] + bytes([9]) + data[5:]),  # a compression that Pillow does not implement
    ],
    ids=["truncated", "header", "empty", "text", "truncated-png", "zeroed-png", "unimplemented"],
)
def test_damaged_files_are_unreadable(tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]):
    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(smooth(64, 64))
    (image.quantize() if suffix == "blp" else image).save(path)
    decode(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Unreadable, match=f"^{re.escape(str(path))}: ."):
        decode(path)


def test_a_missing_file_is_unreadable(tmp_path: Path):
    with pytest.raises(Unreadable, match=r"none\.jpg: .*No such file"):
        decode(tmp_path / "none.jpg")


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)])
def test_a_plain_jpeg_is_what_pillow_makes_of_it(
    tmp_path: Path, subsampling: str, mode: str, progressive: bool, size: tuple[int, int]
):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(tmp_path / "a.jpg", subsampling=subsampling, progressive=progressive)
    np.testing.assert_array_equal(rgb(tmp_path / "a.jpg"), np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB")))


def test_which_files_are_plain(tmp_path: Path):
    image = Image.fromarray(smooth(40, 30))
    for name, options in {
        "plain.jpg": {},
        "upright.jpg": {"exif": exif(1)},
        "srgb.jpg": {"icc_profile": SRGB},
        "broken profile.jpg": {"icc_profile": b"none"},
        "turned.jpg": {"exif": exif(6)},
        "other profile.jpg": {"icc_profile": SWAPPED},
        "lossless.png": {},
    }.items():
        image.save(tmp_path / name, **options)
    image.convert("CMYK").save(tmp_path / "ink.jpg")
    plain = set()
    for path in tmp_path.iterdir():
        with Image.open(path) as opened:
            if is_plain(opened):
                plain.add(path.stem)
    assert plain == {"plain", "upright", "srgb", "broken profile"}


def test_a_profile_of_srgb_itself_changes_nothing(tmp_path: Path):
    image = Image.fromarray(smooth(64, 64))
    image.save(tmp_path / "with.jpg", icc_profile=SRGB)
    image.save(tmp_path / "without.jpg")
    np.testing.assert_array_equal(rgb(tmp_path / "with.jpg"), rgb(tmp_path / "without.jpg"))
    image.save(tmp_path / "with.png", icc_profile=SRGB)
    np.testing.assert_array_equal(rgb(tmp_path / "with.png"), smooth(64, 64))


def test_bytes_are_decoded_like_their_file(tmp_path: Path):
    Image.fromarray(smooth(64, 48)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    np.testing.assert_array_equal(decode(io.BytesIO(data), 20), decode(tmp_path / "a.jpg", 20))
    with pytest.raises(Unreadable, match=r"^a\.jpg in a shard: ."):
        decode(io.BytesIO(data[:500]), name="a.jpg in a shard")
