"""Pictures from files that nobody vouches for: every kind as colours of 8 bits, the right way up, or one line."""

import base64
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from drivetrain.camera.sets import pillow
from drivetrain.data.recordings.json_fields import refuse
from drivetrain.data.recordings.unpacking import check_file

MAX_PIXELS = 64 << 20
"""Of a picture: about 8,192 × 8,192. A small file may unpack to more than memory holds."""
MAX_BYTES = 256 << 20
"""Of a file."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")
"""What is read; others may start foreign programs, or are no photographs."""
TURNED = 0x0112
"""EXIF's tag of how the camera was held."""
WORDS = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError)
WORDS += (RuntimeError, MemoryError)
"""What Pillow raises on damaged files, `struct.error` aside, which it turns into these."""


def read_pixels(file: str | Path, size: tuple[int, int] | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """The colours of a picture: red, green, blue, upright as EXIF says.

    Grey is three equal colours, 16 bits are scaled to 8, palettes and CMYK are turned into colours, and what is said of
    transparency is dropped. `size` is the width and height that labels give: where only the picture as it is stored has
    it, the labels were made on that, and it is not turned.

    Raises `InputError` on a file that cannot be read, is empty, truncated or no picture, is of another size than
    `size`, or has more than `MAX_PIXELS` pixels.
    """
    file = str(file)
    with _opened(file) as (image, picture):
        stored, turn = picture.size, _turn(picture)
        upright = stored[::-1] if turn >= 5 else stored
        if size is not None and size not in (upright, stored):
            refuse(file, f"{upright[0]} x {upright[1]} pixels, its labels say {size[0]} x {size[1]}", "mend either")
        try:
            pixels = _colours(file, image, picture)
        except WORDS as error:
            refuse(file, f"a damaged picture: {_short(error)}", "restore the file")
    return _upright(pixels, turn if size is None or size == upright else 1)


def data_address(picture: Any, quality: int) -> str:
    """A picture of Pillow's as a JPEG in a data address, for pages."""
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def read_size(file: str | Path) -> tuple[int, int]:
    """Width and height of a picture, upright, from its first bytes. Raises `InputError` as `read_pixels`."""
    with _opened(str(file)) as (_, picture):
        return picture.size[::-1] if _turn(picture) >= 5 else picture.size


@contextlib.contextmanager
def _opened(file: str) -> Iterator[tuple[ModuleType, Any]]:
    """Pillow, and a picture whose pixels are not read yet."""
    image = pillow()
    image.init()  # without it Pillow knows the commonest formats alone
    length = check_file(file).st_size
    if not 0 < length <= MAX_BYTES:
        refuse(
            file, "empty" if not length else f"larger than {MAX_BYTES >> 20} MiB", "restore the file, or leave it out"
        )
    with open(file, "rb") as stream:
        try:
            picture = image.open(stream, formats=FORMATS)
        except (image.DecompressionBombError, image.DecompressionBombWarning):
            refuse(file, f"more than {MAX_PIXELS} pixels", "make it smaller")
        except image.UnidentifiedImageError:
            refuse(file, f"no picture that is read: {', '.join(FORMATS)}", "convert it, or leave it out")
        except WORDS as error:
            refuse(file, f"a damaged picture: {_short(error)}", "restore the file")
        if picture.size[0] * picture.size[1] > MAX_PIXELS:
            refuse(file, f"more than {MAX_PIXELS} pixels", "make it smaller")
        yield image, picture


def _turn(picture: Any) -> int:
    """EXIF's number of how a picture was held, 1 to 8; 1 where it says nothing that can be read."""
    try:
        turn = picture.getexif().get(TURNED, 1)
    except WORDS:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _colours(file: str, image: ModuleType, picture: Any) -> UInt8[np.ndarray, "H W 3"]:
    picture.load()
    if picture.mode.startswith("I"):  # one channel of 16 bits, or of 32 that hold 16
        grey = np.asarray(picture).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            refuse(file, "more than 16 bits a pixel", "convert it to 8 or 16")
        return np.repeat(np.round(grey[..., None] / 257.0).astype(np.uint8), 3, axis=-1)
    if picture.mode in ("F", "LAB", "HSV"):
        refuse(file, f"pixels of mode {picture.mode}", "convert it to RGB")
    if picture.mode in ("RGBa", "La"):
        picture = picture.convert("RGBA" if picture.mode == "RGBa" else "LA")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return np.array(picture.convert("RGB"), np.uint8)


def _upright(pixels: UInt8[np.ndarray, "H W 3"], turn: int) -> UInt8[np.ndarray, "h w 3"]:
    """Pixels turned as EXIF's number asks for."""
    if turn >= 5:
        pixels = pixels.transpose(1, 0, 2)
    down, right = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(turn, (1, 1))
    return np.ascontiguousarray(pixels[::down, ::right])


def _short(error: BaseException) -> str:
    """What a decoder says, on one line."""
    text = ascii(str(error) or type(error).__name__)
    return text if len(text) <= 80 else text[:76] + "...'"
