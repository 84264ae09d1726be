"""Pictures of every kind and damage, made here."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
from fixtures_mutation import bytes_changed
from PIL import Image, ImageOps

from drivetrain.perception import pixels
from drivetrain.perception.pixels import read_pixels, read_size
from drivetrain.types import InputError


@pytest.fixture
def scene():
    """20 wide, 12 high: smooth, and different in every corner."""
    row, column = np.mgrid[0:12, 0:20]
    return np.stack([column * 12, row * 20, 255 - column * 5 - row * 5], -1).astype(np.uint8)


def saved(tmp_path, picture, name, **settings):
    file = tmp_path / name
    picture.save(file, **settings)
    return file


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm"])
def test_what_loses_nothing_is_read_exactly(tmp_path, scene, name):
    file = saved(tmp_path, Image.fromarray(scene), name)
    assert np.array_equal(read_pixels(file), scene)
    assert read_size(file) == (20, 12)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_jpeg_and_webp(tmp_path, scene, name):
    file = saved(tmp_path, Image.fromarray(scene), name, quality=95)
    assert np.abs(read_pixels(file).astype(int) - scene).mean() < 6.0


def test_grey_is_three_equal_colours(tmp_path, scene):
    grey = scene[..., 0]
    read = read_pixels(saved(tmp_path, Image.fromarray(grey), "a.png"))
    assert np.array_equal(read, np.stack([grey] * 3, -1))
    bits = read_pixels(saved(tmp_path, Image.fromarray(grey > 100), "b.png"))
    assert np.array_equal(bits[..., 1], np.where(grey > 100, 255, 0))


def test_sixteen_bits_are_scaled(tmp_path):
    grey = np.array([[0, 257, 65535], [128, 129, 32768]], np.uint16)
    for name in ("a.png", "a.tif"):
        read = read_pixels(saved(tmp_path, Image.fromarray(grey), name))
        assert np.array_equal(read[..., 2], [[0, 1, 255], [0, 1, 128]])


def test_sixteen_bits_of_colour(tmp_path):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    line = b"\0" + struct.pack(">6H", 65535, 0, 257 * 7, 0, 65535, 257 * 200)
    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    file = tmp_path / "a.png"
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(line)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert read_pixels(file).tolist() == [[[255, 0, 7], [0, 255, 200]]]


def test_more_than_sixteen_bits_are_refused(tmp_path):
    file = saved(tmp_path, Image.fromarray(np.array([[0, 70000]], np.int32)), "a.tif")
    with pytest.raises(InputError, match="a.tif: more than 16 bits"):
        read_pixels(file)
    file = saved(tmp_path, Image.fromarray(np.array([[0.0, 0.5]], np.float32)), "b.tif")
    with pytest.raises(InputError, match="b.tif: pixels of mode F"):
        read_pixels(file)


def test_palettes_alpha_and_cmyk(tmp_path, scene):
    few = scene // 128 * 255
    palette = Image.fromarray(few).quantize(8)
    read = read_pixels(saved(tmp_path, palette, "p.png"))
    assert np.array_equal(read, np.asarray(palette.convert("RGB")))
    assert np.array_equal(read_pixels(saved(tmp_path, palette, "q.png", transparency=0)), read)
    alpha = np.concatenate([scene, np.full_like(scene[..., :1], 77)], -1)
    assert np.array_equal(read_pixels(saved(tmp_path, Image.fromarray(alpha), "a.png")), scene)
    grey = Image.fromarray(alpha[..., [0, 3]], "LA")
    assert np.array_equal(read_pixels(saved(tmp_path, grey, "la.png"))[..., 0], scene[..., 0])
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[..., 1:3] = 255  # magenta and yellow: red
    red = read_pixels(saved(tmp_path, Image.fromarray(inks, "CMYK"), "c.jpg", quality=95))
    assert red[..., 0].min() > 230 and red[..., 1:].max() < 25


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_is_followed_unless_the_labels_were_not(tmp_path, scene, turn):
    picture = Image.fromarray(scene)
    exif = picture.getexif()
    exif[pixels.TURNED] = turn
    file = saved(tmp_path, picture, "a.png", exif=exif)
    with Image.open(file) as written:
        right = np.asarray(ImageOps.exif_transpose(written))
    assert np.array_equal(read_pixels(file), right)
    assert read_size(file) == right.shape[1::-1]
    assert np.array_equal(read_pixels(file, read_size(file)), right)
    if turn >= 5:
        assert np.array_equal(read_pixels(file, (20, 12)), scene)


def test_odd_exif_is_left_alone(tmp_path, scene):
    exif = Image.Exif()
    exif[pixels.TURNED] = 40
    assert np.array_equal(read_pixels(saved(tmp_path, Image.fromarray(scene), "a.png", exif=exif)), scene)


def test_another_size_than_the_labels_say(tmp_path, scene):
    file = saved(tmp_path, Image.fromarray(scene), "a.png")
    with pytest.raises(InputError, match=r"a\.png: 20 x 12 pixels, its labels say 20 x 13 \(mend either\)"):
        read_pixels(file, (20, 13))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp", "a.ppm"])
def test_truncated(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    file = saved(tmp_path, Image.fromarray(noise), name)
    whole = file.read_bytes()
    for share in (0.0, 0.002, 0.1, 0.5, 0.9):
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError) as caught:
            read_pixels(file)
        assert str(caught.value).startswith(str(file)) and "\n" not in str(caught.value)


def test_what_is_no_picture(tmp_path):
    for name, text in (
        ("a.jpg", b""),
        ("b.jpg", b"hello"),
        ("c.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ):
        (tmp_path / name).write_bytes(text)
        with pytest.raises(InputError, match=f"{name}: (empty|no picture)"):
            read_pixels(tmp_path / name)
    with pytest.raises(InputError, match="a folder, not a file"):
        read_pixels(tmp_path)
    with pytest.raises(InputError, match="nowhere.png: cannot be read"):
        read_pixels(tmp_path / "nowhere.png")


@pytest.mark.parametrize("side", [9000, 10_000, 60_000])
def test_a_small_file_that_unpacks_to_too_much(tmp_path, scene, side):
    file = saved(tmp_path, Image.fromarray(scene), "a.png")
    body = bytearray(file.read_bytes())
    body[16:24] = struct.pack(">II", side, side)
    body[29:33] = struct.pack(">I", zlib.crc32(bytes(body[12:29])))
    file.write_bytes(bytes(body))
    with pytest.raises(InputError, match=f"more than {pixels.MAX_PIXELS} pixels"):
        read_pixels(file)


def test_without_pillow(tmp_path, monkeypatch):
    def missing():
        raise InputError("pillow: not installed (pip install 'drivetrain[pictures]')")

    monkeypatch.setattr(pixels, "pillow", missing)
    with pytest.raises(InputError, match="pillow: not installed"):
        read_pixels(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "tiff", "webp", "ppm"])
def test_changed_bytes_are_read_or_refused_in_one_line(tmp_path, scene, kind):
    packed = io.BytesIO()
    exif = Image.Exif()
    exif[pixels.TURNED] = 6
    Image.fromarray(scene).save(packed, kind, exif=exif)
    source, file, refused = random.Random(kind), tmp_path / "a.bin", 0
    for _ in range(150):
        file.write_bytes(bytes_changed(packed.getvalue(), source))
        try:
            read = read_pixels(file)
            assert read.dtype == np.uint8 and read.shape[2] == 3
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).startswith(str(file))
    assert refused
