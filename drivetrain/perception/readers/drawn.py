"""Labels of the pictures that come with the project: lines and cars drawn by hand, and boxes of a town that is none.

    FOLDER/labels.json     [{image, width, height, lanes: [{role, points}], boxes: [[x0, y0, x1, y1, kind]], box_flags,
                             ignore: [[x0, y0, x1, y1]]}]; FOLDER/calibration.json may tell the camera of one size
    FOLDER/boxes.json      [{image, width, height, boxes: [[x0, y0, x1, y1, kind]]}]
    FOLDER/images/         the pictures

Boxes are edges, 0 to width: the first pixel is 0 to 1. Points of lines have the centre of the first pixel at (0, 0).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from drivetrain.camera.pinhole import Camera
from drivetrain.data.recordings.json_fields import Fields, refuse
from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.perception.readers.checked import (
    MAX_SIDE,
    boxed,
    camera_of,
    in_reach,
    json_of,
    kind_of,
    list_of,
    picture_at,
    table,
    text_of,
    unknown_depth,
)

ROLE = re.compile(r"|ego_(left|right)|(left|right)[1-9][0-9]?")
"""The roles of a line; none is a role too."""


def drawn_lines(folder: str | Path) -> Iterator[Labelled]:
    """Pictures with lines and cars drawn by hand. Neighbours' lines stand only where they were clear (`only_named`)."""
    folder = Path(folder)
    camera = _calibrated(folder / "calibration.json")
    for fields in _entries(folder / "labels.json"):
        width, height = fields.whole("width", 1, MAX_SIDE), fields.whole("height", 1, MAX_SIDE)
        flags = list_of(f"{fields.where}: box_flags", fields.values.get("box_flags", []))
        boxes = list_of(f"{fields.where}: boxes", fields.values.get("boxes"))
        if flags and len(flags) != len(boxes):
            refuse(f"{fields.where}: box_flags", f"{len(flags)} of {len(boxes)} boxes", "give as many")
        cut = [isinstance(flag, list) and "truncated" in flag for flag in flags] or [False] * len(boxes)
        ignored = list_of(f"{fields.where}: ignore", fields.values.get("ignore", []))
        regions = [_edges(f"{fields.where}: ignore {n}", box, width, height) for n, box in enumerate(ignored)]
        lanes = fields.items("lanes")
        yield Labelled(
            file=picture_at(f"{fields.where}: image", folder / "images", fields.text("image")),
            width=width,
            height=height,
            things=_things(fields.where, boxes, width, height, cut),
            lines=tuple(_line(lane, width, height) for lane in lanes),
            only_named=True,
            ignored=np.array(regions, np.float64).reshape(-1, 4),
            camera=camera if camera is not None and (width, height) == (camera.width, camera.height) else None,
        )


def drawn_boxes(folder: str | Path) -> Iterator[Labelled]:
    """Pictures with boxes alone."""
    folder = Path(folder)
    for fields in _entries(folder / "boxes.json"):
        width, height = fields.whole("width", 1, MAX_SIDE), fields.whole("height", 1, MAX_SIDE)
        boxes = list_of(f"{fields.where}: boxes", fields.values.get("boxes"))
        yield Labelled(
            file=picture_at(f"{fields.where}: image", folder / "images", fields.text("image")),
            width=width,
            height=height,
            things=_things(fields.where, boxes, width, height, [False] * len(boxes)),
        )


def role_of(lane: Fields) -> str:
    """The role of a line. Raises `InputError` on a word that is none."""
    role = lane.text("role")
    known = ROLE.fullmatch(role) is not None
    return role if known else refuse(f"{lane.where}: role", "no role", "use ego_left, ego_right, left2, right2 ...")


def _entries(file: Path) -> list[Fields]:
    body = list_of(str(file), json_of(str(file), text_of(str(file))))
    return [Fields(f"{file}: entry {number}", value) for number, value in enumerate(body)]


def _edges(where: str, corners: Any, width: int, height: int) -> tuple[float, float, float, float]:
    edges = table(where, [corners], 4)[0] - 0.5
    return boxed(where, edges.tolist(), width, height)


def _things(where: str, boxes: list[Any], width: int, height: int, cut: list[bool]) -> tuple[Boxed, ...]:
    things = []
    for number, (box, truncated) in enumerate(zip(boxes, cut, strict=True)):
        place = f"{where}: boxes {number}"
        if not isinstance(box, list) or len(box) != 5:
            refuse(place, "no list of x0, y0, x1, y1 and a kind")
        corners = _edges(place, box[:4], width, height)
        things.append(Boxed(corners, kind_of(place, box[4]), truncated=truncated))
    return tuple(things)


def _line(lane: Fields, width: int, height: int) -> Line:
    where = f"{lane.where}: points"
    points = table(where, lane.values.get("points"), 2)
    if len(points) < 2:
        refuse(where, f"{len(points)} of them", "give at least 2")
    in_reach(where, points, width, height)
    return Line(unknown_depth(points), np.ones(len(points), bool), role_of(lane))


def _calibrated(file: Path) -> Camera | None:
    """The camera of a `calibration.json`, its mount aside, which that does not tell; None where there is none."""
    if not file.exists():
        return None
    fields = Fields(str(file), json_of(str(file), text_of(str(file))))
    width, height = (int(side) for side in fields.reals("image_size", 2))
    k1, k2 = fields.reals("dist_k1_k2_p1_p2_k3", 5)[:2]
    return camera_of(fields, (width, height), (k1, k2))
