"""What a picture shows, as lists: road users in rectangles, and lines between lanes as polylines, both with depths."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.camera.casting import FARTHEST, NOTHING, depth_of, filled
from drivetrain.camera.ground import Ground
from drivetrain.camera.kinds import Kind
from drivetrain.camera.markings import Paint
from drivetrain.camera.pinhole import NEAREST, Camera, project, to_camera
from drivetrain.camera.render import Renderer, View, first_met, ground_depth, rays_of, turned
from drivetrain.camera.shapes import AGENT, STREWN_THING
from drivetrain.camera.tiles import tiled_slopes
from drivetrain.types import AgentKind, Array, record

POINTS = 512
"""Points of lines that a picture is labelled with at most, the nearest to the camera."""
BEHIND = 0.05
"""A point of a line is hidden where what the picture shows there is nearer by this share of its depth and 0.3 m."""


@record
class Boxes:
    """The things of a view in its picture, in the order of `View.things` [N]. Pixels: centres at integers."""

    box: Float[Array, "N 4"]  # x0, y0, x1, y1: round what is visible; zeros where nothing is
    whole: Float[Array, "N 4"]  # round all of its box, hidden or beyond the picture's border
    depth: Float[Array, "N"]  # m, of the nearest of it that is visible
    visible: Float[Array, "N"]  # share that is not hidden, of what is within the picture
    truncated: Bool[Array, "N"]  # whether the picture's border cuts its box
    kind: Int[Array, "N"]  # AgentKind, or STREWN_THING − AGENT + Kind; 0: neither a road user nor strewn
    agent: Int[Array, "N"]  # column of `State.agents`; −1: none
    shown: Bool[Array, "N"]  # road users and strewn things of which something is visible


@record
class LaneLines:
    """Points of the lines that bound lanes, nearest lines' in their order along each [P]."""

    pixel: Float[Array, "P 2"]  # column, row
    depth: Float[Array, "P"]  # m
    place: Float[Array, "P 2"]  # m, x ahead of the camera's foot and y to its left, as the camera looks
    paint: Int[Array, "P"]  # Paint; 0 is padding
    line: Int[Array, "P"]  # number of the line
    inside: Bool[Array, "P"]  # within the picture
    visible: Bool[Array, "P"]  # inside, and nothing is before it


def boxes_of(renderer: Renderer, view: View) -> Boxes:
    """Rectangles of what is visible of every thing of a view, to a ray; how much that is, alone and among others.

    A thing counts in a tile where it is among its nearest K (`Tiling.things`); farther ones are not drawn there either.
    """
    camera, tiling = rays_of(renderer)
    down, across = tiling.across(camera)
    right, below = tiled_slopes(camera, tiling)
    ray = turned(view.eye, jnp.asarray(right), jnp.asarray(below))
    first = first_met(renderer, view)
    open_to = (first != NOTHING) & (depth_of(first) < ground_depth(view.eye, ray)[0])
    which = (first >> 3) & 7
    tile, pixel = np.arange(down * across)[:, None], np.arange(tiling.height * tiling.width)[None]
    column = (tile % across) * tiling.width + pixel % tiling.width
    row = (tile // across) * tiling.height + pixel // tiling.width
    inside = (column < camera.width) & (row < camera.height)
    count = len(view.things.valid)

    def over_tiles(numbers: Float[Array, "K T"], reduce, start: float) -> Float[Array, "N"]:
        """The numbers of each thing's tiles as one."""
        flat = reduce(numbers.reshape(-1), view.touching.reshape(-1), num_segments=count + 1)[:count]
        return jnp.where(jnp.isfinite(flat), flat, start)

    own = jnp.stack([open_to & inside & (which == k) for k in range(len(view.touching))])
    alone = filled(view.blocks, view.touching, ray) & inside
    x0 = over_tiles(jnp.min(jnp.where(own, column, jnp.inf), axis=2), jax.ops.segment_min, 0.0)
    y0 = over_tiles(jnp.min(jnp.where(own, row, jnp.inf), axis=2), jax.ops.segment_min, 0.0)
    x1 = over_tiles(jnp.max(jnp.where(own, column + 1, -jnp.inf), axis=2), jax.ops.segment_max, 0.0)
    y1 = over_tiles(jnp.max(jnp.where(own, row + 1, -jnp.inf), axis=2), jax.ops.segment_max, 0.0)
    depth = over_tiles(jnp.min(jnp.where(own, depth_of(first), jnp.inf), axis=2), jax.ops.segment_min, FARTHEST)
    seen = over_tiles(jnp.sum(own, axis=2).astype(jnp.float32), jax.ops.segment_sum, 0.0)
    whole = over_tiles(jnp.sum(alone, axis=2).astype(jnp.float32), jax.ops.segment_sum, 0.0)
    scale = 1.0 / renderer.oversampling
    outline = (view.outline + 0.5) * scale - 0.5
    rim = jnp.asarray([-0.5, -0.5, renderer.camera.width - 0.5, renderer.camera.height - 0.5])
    cut = jnp.any(outline[:, :2] < rim[:2], axis=1) | jnp.any(outline[:, 2:] > rim[2:], axis=1)
    kind = jnp.maximum(view.things.thing - AGENT, 0)
    return Boxes(
        box=jnp.where(seen[:, None] > 0.0, jnp.stack([x0, y0, x1, y1], -1) * scale - 0.5, 0.0),
        whole=outline,
        depth=depth,
        visible=seen / jnp.maximum(whole, 1.0),
        truncated=cut,
        kind=kind,
        agent=view.things.agent,
        shown=(seen > 0.0) & (kind > 0),
    )


def lines_of(
    renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, depth: Float[Array, "H W"], most: int = POINTS
) -> LaneLines:
    """The lines that bound lanes near the camera; `depth` is that of the picture (`Labels`), m."""
    camera, eye = renderer.camera, view.eye
    points, paint, number = (
        jnp.asarray(part)[row] for part in (grounds.points, grounds.point_paint, grounds.point_line)
    )
    to = points - eye.place[:2]
    ahead = eye.turn[:2, 2] / jnp.linalg.norm(eye.turn[:2, 2])
    forward, aside = to @ ahead, to[:, 1] * ahead[0] - to[:, 0] * ahead[1]
    away = jnp.where((paint > 0) & (forward > NEAREST), jnp.linalg.norm(to, axis=1), jnp.inf)
    chosen = jnp.sort(jax.lax.top_k(-away, min(most, len(away)))[1])
    there = away[chosen] < jnp.inf
    points = jnp.concatenate([points[chosen], jnp.zeros((len(chosen), 1))], -1)
    pixel, far = project(camera, to_camera(eye, points))
    column, line = (jnp.round(pixel[:, axis]).astype(jnp.int32) for axis in (0, 1))
    inside = there & (far > NEAREST) & (column >= 0) & (column < camera.width) & (line >= 0) & (line < camera.height)
    shown = depth[jnp.clip(line, 0, camera.height - 1), jnp.clip(column, 0, camera.width - 1)]
    return LaneLines(
        pixel=pixel,
        depth=far,
        place=jnp.stack([forward, aside], -1)[chosen],
        paint=jnp.where(there, paint[chosen], 0),
        line=jnp.where(there, number[chosen], -1),
        inside=inside,
        visible=inside & (shown > far * (1.0 - BEHIND) - 0.3),
    )


# ---------------------------------------------------------------------------------------------------- as plain values


@dataclasses.dataclass(frozen=True)
class Told:
    """What is written of a picture."""

    boxes: list[dict[str, Any]]
    lanes: list[dict[str, Any]]


def told(boxes: Boxes, lines: LaneLines, camera: Camera, least: float = 0.1) -> Told:
    """Labels as plain values, rounded: road users of which at least a share of `least` is visible, and lines by role.

    `ego_left` and `ego_right` are the first lines to the left and to the right of the camera, a few metres ahead; the
    next are `left2`, `right2` and so on.
    """
    rows = np.flatnonzero(np.asarray(boxes.shown) & (np.asarray(boxes.visible) >= least))
    users = [
        {
            "box": _rounded(np.asarray(boxes.box)[row]),
            "whole": _rounded(np.clip(np.asarray(boxes.whole)[row], -4.0 * camera.width, 5.0 * camera.width)),
            "kind": name_of(int(boxes.kind[row])),
            "depth": round(float(boxes.depth[row]), 2),
            "visible": round(float(boxes.visible[row]), 3),
            "truncated": bool(boxes.truncated[row]),
            "agent": int(boxes.agent[row]),
        }
        for row in rows.tolist()
    ]
    return Told(users, _lanes(lines))


def name_of(kind: int) -> str:
    """The name of a kind of `Boxes`."""
    strewn = kind - (STREWN_THING - AGENT)
    return (AgentKind(kind) if strewn < 0 else Kind(strewn)).name.lower()


def _lanes(lines: LaneLines) -> list[dict[str, Any]]:
    number, inside = np.asarray(lines.line), np.asarray(lines.inside)
    pixel, depth, visible = np.asarray(lines.pixel), np.asarray(lines.depth), np.asarray(lines.visible)
    place, paint = np.asarray(lines.place), np.asarray(lines.paint)
    made = []
    for line in np.unique(number[inside]).tolist():
        rows = np.flatnonzero((number == line) & inside)
        # A line that leaves the picture and comes back is two.
        for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            if len(part) >= 2:
                made.append(
                    {
                        "role": "",
                        "paint": Paint(int(paint[part[0]])).name.lower(),
                        "points": [[*_rounded(pixel[row]), round(float(depth[row]), 2)] for row in part],
                        "visible": [bool(visible[row]) for row in part],
                        "aside": _aside(place[part]),
                    }
                )
    for side, sign in (("left", 1.0), ("right", -1.0)):
        near = [lane for lane in made if lane["aside"] is not None and sign * lane["aside"] > 0.0]
        for rank, lane in enumerate(sorted(near, key=lambda lane: sign * lane["aside"]), start=1):
            lane["role"] = f"ego_{side}" if rank == 1 else f"{side}{rank}"
    return made


def _aside(place: Float[np.ndarray, "n 2"]) -> float | None:
    """How far to the left a line is about 10 m ahead, m; None where it neither passes there nor begins soon after."""
    order = np.argsort(place[:, 0])
    ahead, left = place[order, 0], place[order, 1]
    if ahead[0] > 20.0 or ahead[-1] < 6.0 or np.any(np.abs(np.diff(left)) > 2.0 + np.abs(np.diff(ahead))):
        return None
    return round(float(np.interp(10.0, ahead, left)), 2)


def _rounded(numbers: Array) -> list[float]:
    return [round(float(number), 2) for number in np.asarray(numbers)]
