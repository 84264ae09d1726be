"""Sets that `drivetrain data render` made: boxes, depths, lines and the camera as it stood."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drivetrain.camera.pinhole import Camera, Mount, back_project
from drivetrain.camera.sets import read_set
from drivetrain.data.recordings.json_fields import Fields, refuse
from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.perception.matching import off_path
from drivetrain.perception.readers.checked import (
    MAX_SIDE,
    boxed,
    camera_of,
    in_reach,
    kind_of,
    list_of,
    picture_at,
    table,
)
from drivetrain.perception.readers.drawn import role_of

SAME = 0.15
"""Lines no farther apart, m, are one."""
FAR = 1e5
"""m; no depth is larger."""


def rendered(folder: str | Path) -> Iterator[Labelled]:
    """Every picture of a set, in its order. Raises `InputError` as `read_set` does, and on labels that are none."""
    for file, body in read_set(folder):
        where = f"{file.parent / 'labels.json'}: {file.name}"
        fields = Fields(where, body)
        camera = _camera(fields)
        yield Labelled(
            file=picture_at(where, file.parent, fields.text("file")),
            width=camera.width,
            height=camera.height,
            things=tuple(_thing(box, camera) for box in fields.items("boxes")),
            lines=_once(
                [part for lane in fields.items("lanes") for part in _one_way(_line(lane, camera), camera)], camera
            ),
            camera=camera,
        )


def _one_way(line: Line, camera: Camera) -> list[Line]:
    """A line, cut where it turns back: borders of both directions may hang together."""
    steps = np.diff(back_project(camera, line.points[:, :2], line.points[:, 2]), axis=0)
    steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-6)
    cuts = np.flatnonzero(np.sum(steps[1:] * steps[:-1], axis=1) < -0.5) + 2
    parts = np.split(np.arange(len(line.points)), cuts)
    made = []
    for rows in (np.append(rows[:1] - 1, rows)[int(number == 0) :] for number, rows in enumerate(parts)):
        way = rows if line.points[rows[0], 2] <= line.points[rows[-1], 2] else rows[::-1]
        if len(way) > 1:
            made.append(Line(line.points[way], line.visible[way], line.role))
    return made


def _once(lines: list[Line], camera: Camera) -> tuple[Line, ...]:
    """Lines without those that another, as long or longer, covers: lanes of both directions may share one."""
    places = [back_project(camera, line.points[:, :2], line.points[:, 2])[:, [0, 2]] for line in lines]
    kept: list[int] = []
    for row in sorted(range(len(lines)), key=lambda row: (-len(places[row]), row)):
        if not any(np.mean(off_path(places[row], places[other]) < SAME) > 0.9 for other in kept):
            kept.append(row)
    return tuple(lines[row] for row in sorted(kept))


def _camera(fields: Fields) -> Camera:
    """Intrinsics, and the mount with what was added to it for this picture."""
    mount = Fields(f"{fields.where}: mount", fields.values.get("mount"))
    shift, tilt = fields.reals("shift", 3), fields.reals("tilt", 3)
    names = ("x", "y", "z", "pitch", "roll", "yaw")
    added = dict(zip(names, shift + tilt, strict=True))
    placed = Mount(*(mount.real(name, -100.0, 100.0) + added[name] for name in names))
    return camera_of(fields, (fields.whole("width", 1, MAX_SIDE), fields.whole("height", 1, MAX_SIDE)), mount=placed)


def _thing(box: Fields, camera: Camera) -> Boxed:
    return Boxed(
        box=boxed(f"{box.where}: box", box.values.get("box"), camera.width, camera.height),
        kind=kind_of(f"{box.where}: kind", box.values.get("kind")),
        depth=box.real("depth", 0.0, FAR),
        visible=box.real("visible", 0.0, 1.0),
        truncated=box.truth("truncated"),
    )


def _line(lane: Fields, camera: Camera) -> Line:
    points = table(f"{lane.where}: points", lane.values.get("points"), 3)
    visible = list_of(f"{lane.where}: visible", lane.values.get("visible"))
    if len(points) < 2 or len(visible) != len(points) or not all(isinstance(value, bool) for value in visible):
        refuse(f"{lane.where}: visible", f"{len(points)} points, {len(visible)} of true and false", "make them as many")
    in_reach(f"{lane.where}: points", points[:, :2], camera.width, camera.height)
    if not (points[:, 2] > 0.0).all():
        refuse(f"{lane.where}: points", "a depth that is not positive")
    # They are written along the lane, whichever way it runs.
    way = slice(None) if points[0, 2] <= points[-1, 2] else slice(None, None, -1)
    return Line(points[way], np.array(visible, bool)[way], role_of(lane))
