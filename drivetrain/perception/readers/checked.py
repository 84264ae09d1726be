"""What every reader asks of files that nobody vouches for: JSON without NaN, boxes and points within their picture."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from drivetrain.camera.pinhole import Camera, Mount
from drivetrain.data.readers.hardened_xml import quote
from drivetrain.data.recordings.json_fields import Fields, refuse
from drivetrain.data.recordings.unpacking import check_file
from drivetrain.types import InputError

MAX_BYTES = 1 << 30
"""Of a file of labels: COCO's largest has 450 MB."""
MAX_SIDE = 1 << 15
"""Pixels of a picture's side."""
SLACK = 1.5
"""A box may stand out of its picture by so many pixels: formats count them from 0 or 1, some round. It is cut."""
AROUND = 4.0
"""A point of a line may lie outside its picture by so many times its size."""
Box = tuple[float, float, float, float]


def text_of(file: str) -> str:
    """What stands in a file of labels. Raises `InputError` where it cannot be read, is too large, or no UTF-8."""
    if check_file(file).st_size > MAX_BYTES:
        refuse(file, f"larger than {MAX_BYTES >> 20} MiB", "split it")
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        refuse(file, "not UTF-8", "restore the file")


def json_of(where: str, text: str) -> Any:
    """A JSON value. Raises `InputError` on what is none, and on NaN and infinities."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        refuse(where, f"not JSON: {quote(str(error))}", "restore the file")


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number of JSON")


def list_of(where: str, value: Any) -> list[Any]:
    """A JSON list."""
    return value if isinstance(value, list) else refuse(where, "missing or no list")


def table(where: str, value: Any, columns: int) -> Float[np.ndarray, "n columns"]:
    """Rows of so many finite numbers each."""
    rows = list_of(where, value)
    for row in rows:
        if not isinstance(row, list) or len(row) != columns:
            refuse(where, f"{quote(str(row))} is no list of {columns} numbers")
        for number in row:
            if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= 1e9:
                refuse(where, f"{quote(str(number))} is no finite number")
    return np.array(rows, np.float64).reshape(-1, columns)


def boxed(where: str, corners: Any, width: int, height: int) -> Box:
    """A rectangle from its corners (x0, y0, x1, y1; the first pixel is −0.5 to 0.5), cut to its picture.

    Raises `InputError` where it is not that, has no area, is inverted, or stands out of it by more than `SLACK`.
    """
    x0, y0, x1, y1 = table(where, [corners], 4)[0].tolist()
    if not (x0 < x1 and y0 < y1):
        refuse(where, f"[{x0:g}, {y0:g}, {x1:g}, {y1:g}] is inverted or empty", "give x0 < x1 and y0 < y1")
    right, below = width - 0.5, height - 0.5
    if min(x0, y0) < -0.5 - SLACK or x1 > right + SLACK or y1 > below + SLACK:
        refuse(where, f"[{x0:g}, {y0:g}, {x1:g}, {y1:g}] is not within {width} x {height} pixels", "mend the box")
    cut = (max(x0, -0.5), max(y0, -0.5), min(x1, right), min(y1, below))
    return (
        cut if cut[0] < cut[2] and cut[1] < cut[3] else refuse(where, "a box on the picture's border", "drop the box")
    )


def in_reach(where: str, points: Float[np.ndarray, "n 2"], width: int, height: int) -> None:
    """Raise `InputError` where points (column, row) lie far outside their picture."""
    if len(points) and (np.abs(points) > AROUND * np.array([width, height])).any():
        refuse(where, f"points far outside {width} x {height} pixels", "mend the line")


def picture_at(where: str, folder: str | Path, name: str) -> Path:
    """The file of a picture below a folder. Raises `InputError` on a name that leads out of it, or to no file."""
    if not name or not name.isprintable() or name.startswith(("/", "\\")) or ".." in Path(name).parts:
        refuse(where, f"{quote(name)} is no path below its folder", "name a picture")
    file = Path(folder) / name
    if len(name) > 1000 or any(len(part.encode()) > 255 for part in Path(name).parts) or not file.is_file():
        refuse(where, f"no picture {quote(name)} in {folder}", "bring the pictures, or drop the entry")
    return file


def kind_of(where: str, text: Any) -> str:
    """The name of a kind of things, in lower case."""
    if not isinstance(text, str) or not 0 < len(text.strip()) <= 100 or not text.strip().isprintable():
        refuse(where, f"{quote(str(text))} is no name of a kind")
    return text.strip().lower()


def unknown_depth(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Points (column, row) with a depth that nobody told."""
    return np.concatenate([points, np.full((len(points), 1), math.nan)], -1)


def camera_of(
    fields: Fields, size: tuple[int, int], distortion: tuple[float, float] = (0.0, 0.0), mount: Mount | None = None
) -> Camera:
    """A camera from `fx`, `fy`, `cx` and `cy`; where its mount is not known, it is the usual one."""
    fx, fy = fields.real("fx", 1e-3, 1e6), fields.real("fy", 1e-3, 1e6)
    cx, cy = fields.real("cx", -1e6, 1e6), fields.real("cy", -1e6, 1e6)
    try:
        return Camera(*size, fx, fy, cx, cy, *distortion, mount=mount or Mount())
    except InputError as error:
        refuse(fields.where, f"no camera: {error}", "mend it")
