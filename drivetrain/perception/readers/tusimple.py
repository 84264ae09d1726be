"""TuSimple's lanes: a JSON object a line, columns of every lane at fixed rows, −2 where it has no point.

It labels at most the camera's own lane and its neighbours' borders, so that lines beyond may be missing (`only_named`).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from drivetrain.data.recordings.json_fields import Fields, refuse
from drivetrain.perception.labelled import Labelled, Line
from drivetrain.perception.pixels import read_size
from drivetrain.perception.readers.checked import in_reach, json_of, list_of, picture_at, table, text_of, unknown_depth

GAP = -2.0
NEAR = 4
"""Points nearest to the camera that tell where a line meets the picture's lower border."""


def tusimple(file: str | Path) -> Iterator[Labelled]:
    """Pictures with lines. The nearest left and right of the middle at the lower border are the camera's own lane's.

    Raises `InputError` on lines that are no JSON, fields that are missing, columns that are not as many as rows, and
    pictures that are not there.
    """
    file = Path(file)
    for row, text in enumerate(text_of(str(file)).splitlines(), start=1):
        if not text.strip():
            continue
        where = f"{file}: line {row}"
        fields = Fields(where, json_of(where, text))
        picture = picture_at(f"{where}: raw_file", file.parent, fields.text("raw_file"))
        width, height = read_size(picture)
        rows = table(f"{where}: h_samples", [[value] for value in _list(fields, "h_samples")], 1)[:, 0]
        if len(rows) and not (np.all(np.diff(rows) > 0) and rows[0] >= 0 and rows[-1] < height):
            refuse(f"{where}: h_samples", f"rows that do not rise from 0 to {height - 1}", "mend them")
        lanes = []
        for number, lane in enumerate(_list(fields, "lanes")):
            place = f"{where}: lanes {number}"
            columns = table(place, [[value] for value in list_of(place, lane)], 1)[:, 0]
            if len(columns) != len(rows):
                refuse(place, f"{len(columns)} columns, {len(rows)} rows in h_samples", "give as many")
            there = columns != GAP
            points = np.stack([columns, rows], -1)[there][::-1]
            in_reach(place, points, width, height)
            if len(points) >= 2:
                lanes.append(points)
        yield Labelled(picture, width, height, lines=_with_roles(lanes, width, height), only_named=True)


def _list(fields: Fields, name: str) -> list:
    return list_of(f"{fields.where}: {name}", fields.values.get(name))


def _with_roles(lanes: list[Float[np.ndarray, "_ 2"]], width: int, height: int) -> tuple[Line, ...]:
    """Lines in their order, named by where they, or their near ends drawn out, meet the lower border."""
    at = [_foot(points, height) - 0.5 * (width - 1) for points in lanes]
    role = [""] * len(lanes)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        order = sorted((sign * x, n) for n, x in enumerate(at) if sign * x > 0.0 or (x == 0.0 and sign > 0.0))
        for rank, (_, n) in enumerate(order, start=1):
            role[n] = f"ego_{side}" if rank == 1 else f"{side}{rank}"
    return tuple(
        Line(unknown_depth(points), np.ones(len(points), bool), name) for points, name in zip(lanes, role, strict=True)
    )


def _foot(points: Float[np.ndarray, "n 2"], height: int) -> float:
    near = points[:NEAR]
    slope, _ = np.polyfit(near[:, 1], near[:, 0], 1)
    return float(near[0, 0] + slope * (height - 1 - near[0, 1]))
