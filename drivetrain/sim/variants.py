"""Maps stretched, sheared and mirrored: more roads than there are. NumPy, once, at load.

Cusumano-Towner et al. 2025 (arXiv 2502.03349, section on maps): random affine transforms of 8 towns give 128. A linear
map keeps what is inside of a border inside; a mirrored one turns left into right, so sides and directions are
exchanged.
"""

import jax
import numpy as np
from jaxtyping import Float, UInt

from drivetrain.data.routes.arc_length import arc_lengths
from drivetrain.types import ControlKind, Cross, Egos, InputError, Map, RouteFlag, Scenario, component, replace


@component
class Warps:
    """How maps are varied."""

    scale: tuple[float, float] = (0.9, 1.2)  # of either axis
    shear: float = 0.15  # at most, either way: x by so much of y
    mirrored: float = 0.5  # share of maps
    dropped: float = 0.2  # share of stop signs whose lines say nothing

    def __post_init__(self):
        if not 0.0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"warps: scale: {self.scale} (two factors above 0, the smaller first)")

    def draw(self, random: np.random.Generator) -> Float[np.ndarray, "2 2"]:
        """A linear map of the plane."""
        x, y = random.uniform(*self.scale, 2)
        mirror = -1.0 if random.random() < self.mirrored else 1.0
        return np.array([[x, y * random.uniform(-self.shear, self.shear)], [0.0, mirror * y]])


def variant(scenario: Scenario, warp: Float[np.ndarray, "2 2"]) -> Scenario:
    """A map without traffic under a linear map, with its drives. Raises `InputError` where somebody was recorded."""
    if (np.asarray(scenario.egos.track) >= 0).any():
        raise InputError("variants: a map with traffic (take one without)")
    mirrored = bool(np.linalg.det(warp) < 0.0)
    return replace(scenario, map=_map(scenario.map, warp, mirrored), egos=_egos(scenario, warp, mirrored))


def without_signs(scenario: Scenario, share: float, random: np.random.Generator) -> Scenario:
    """The same, some stop signs taken away: their lines are painted yet."""
    kind = np.asarray(scenario.map.line_kind)
    dropped = (kind == ControlKind.STOP_SIGN) & (random.random(len(kind)) < share)
    kept = np.where(dropped, int(ControlKind.LINE), kind).astype(kind.dtype)
    return replace(scenario, map=replace(scenario.map, line_kind=kept))


def _map(map_: Map, warp: Float[np.ndarray, "2 2"], mirrored: bool) -> Map:
    stations = np.array(map_.stations, np.float32)
    for x in (Cross.LEFT_X, Cross.RIGHT_X, Cross.CENTRE_X, Cross.COS):
        stations[:, x : x + 2] = stations[:, x : x + 2] @ warp.T
    heading = stations[:, Cross.COS : Cross.LIMIT]
    norm = np.linalg.norm(heading, axis=1, keepdims=True)
    np.divide(heading, norm, out=heading, where=norm > 0.0)
    elements, lines = _segments(np.asarray(map_.elements), warp), _segments(np.asarray(map_.lines), warp)
    neighbours = np.asarray(map_.lane_neighbours)
    if mirrored:
        left, right = (stations[:, x : x + 2].copy() for x in (Cross.LEFT_X, Cross.RIGHT_X))
        stations[:, Cross.LEFT_X : Cross.RIGHT_X], stations[:, Cross.RIGHT_X : Cross.CENTRE_X] = right, left
        elements, lines = elements[:, [2, 3, 0, 1]], lines[:, [2, 3, 0, 1]]  # edges have the surface on their left
        neighbours = neighbours[:, ::-1].copy()
    return replace(
        map_,
        elements=np.ascontiguousarray(elements),
        stations=stations,
        lane_neighbours=neighbours,
        lines=np.ascontiguousarray(lines),
        light_position=(np.asarray(map_.light_position) @ warp.T).astype(np.float32),
    )


def _segments(ends: Float[np.ndarray, "n 4"], warp: Float[np.ndarray, "2 2"]) -> Float[np.ndarray, "n 4"]:
    return (ends.reshape(-1, 2) @ warp.T).reshape(-1, 4).astype(np.float32)


def _egos(scenario: Scenario, warp: Float[np.ndarray, "2 2"], mirrored: bool) -> Egos:
    """The drives, of as many stations as before, their lengths measured anew."""
    egos, warped = scenario.egos, replace(scenario, map=_map(scenario.map, warp, mirrored))
    distance = np.array(egos.log_distance, np.float32)
    for drive in np.flatnonzero(np.asarray(egos.route.length) > 0):
        length, first = int(egos.route.length[drive]), int(egos.cursor[drive])
        before, after = (arc_lengths(each, int(drive))[:length] for each in (scenario, warped))
        end = np.interp(before[first] + distance[drive], before, np.arange(length))
        distance[drive] = np.interp(end, np.arange(length), after) - after[first]
    flags = _exchanged(np.asarray(egos.route.flags)) if mirrored else egos.route.flags
    leaves, shape = jax.tree_util.tree_flatten_with_path(egos)
    new = {"log_distance": distance, "flags": flags}
    return jax.tree.unflatten(shape, [new.get(path[-1].name, leaf) for path, leaf in leaves])


def _exchanged(flags: UInt[np.ndarray, "*n"]) -> UInt[np.ndarray, "*n"]:
    """Left borders that are open are right ones, and the other way round."""
    left, right = int(RouteFlag.OPEN_LEFT), int(RouteFlag.OPEN_RIGHT)
    kept = flags & ~np.asarray(left | right, flags.dtype)
    return (
        kept
        | np.where(flags & left, right, 0).astype(flags.dtype)
        | np.where(flags & right, left, 0).astype(flags.dtype)
    )
