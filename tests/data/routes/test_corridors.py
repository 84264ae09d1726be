import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import scenes
import shapely

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.compile.drafting import draft
from drivetrain.data.recordings.recording import Feature
from drivetrain.data.routes.corridors import LIMITS, Rule, moved_borders
from drivetrain.types import ElementKind, RouteFlag

WIDTH = scenes.WIDTH
EDGE, SOLID, DASHED = ElementKind.ROAD_EDGE, ElementKind.LINE_SOLID, ElementKind.LINE_DASHED


def painted(lane, left=DASHED, right=SOLID):
    return dataclasses.replace(lane, left_border=left, right_border=right)


def along(id, low, high, forth=True):
    """A lane along x from 0 to 200 m, between two heights."""
    x = np.array([0.0, 200.0])
    upper, lower = (np.stack([x, np.full(2, y)], axis=1) for y in (high, low))
    return scenes.lane_along(id, upper, lower) if forth else scenes.lane_along(id, lower[::-1], upper[::-1])


def edges(low, high):
    """Kerbs along x, the road between them."""
    lines = [[[-50.0, low], [250.0, low]], [[250.0, high], [-50.0, high]]]
    return tuple(Feature(EDGE, np.array(line)) for line in lines)


CAR = (scenes.along_x(WIDTH / 2, 20.0, speed=6.0),)


def of(lanes, features=(), agents=CAR):
    drafted = draft(scenes.recording(lanes, agents, features=features))
    (path,) = drafted.paths
    return drafted, path


def reach(drafted, side, x=100.0):
    """How far the corridor goes beyond lane 1, and why."""
    station = int(np.abs(drafted.lanes.centre[drafted.lanes.stations(0), 0] - x).argmin())
    rule = int(drafted.corridors.rule[station, side])
    return drafted.corridors.width[station, side], None if rule < 0 else Rule(rule)


LEFT, RIGHT = 0, 1
OWN = painted(along(1, 0.0, WIDTH))


@pytest.mark.parametrize(
    ("lanes", "features", "side", "metres", "rule"),
    [
        ([OWN], (), RIGHT, LIMITS[Rule.PAINTED], Rule.PAINTED),
        ([painted(OWN, right=ElementKind.LINE_VIRTUAL)], (), RIGHT, LIMITS[Rule.UNPAINTED], Rule.UNPAINTED),
        ([OWN], edges(-1.2, 9.0), RIGHT, 1.2, Rule.SURFACE),  # to the edge
        ([OWN], edges(-1.234, 9.0), RIGHT, 1.234, Rule.SURFACE),  # not to the step before it
        ([OWN], edges(-6.0, 9.0), RIGHT, LIMITS[Rule.SURFACE], Rule.SURFACE),  # and no further than the rule
        ([OWN], edges(0.0, 9.0), RIGHT, 0.0, None),
        ([OWN], edges(1.0, 9.0), RIGHT, 0.0, None),  # the lane itself reaches over the edge
        ([OWN, along(2, WIDTH, 2 * WIDTH)], (), LEFT, LIMITS[Rule.SAME_WAY], Rule.SAME_WAY),
        ([OWN, along(2, WIDTH, 2 * WIDTH, False)], (), LEFT, LIMITS[Rule.ONCOMING], Rule.ONCOMING),
        (
            [painted(OWN, left=SOLID), along(2, WIDTH, 2 * WIDTH, False)], (), LEFT,
            LIMITS[Rule.SOLID_LINE], Rule.SOLID_LINE,
        ),
        ([OWN, along(2, WIDTH, WIDTH + 1.0, False)], (), LEFT, 1.0, Rule.ONCOMING),  # half a metre beyond its middle
        ([OWN, along(2, WIDTH, WIDTH + 1.1, False)], (), LEFT, 1.05, Rule.ONCOMING),
        ([OWN, along(2, WIDTH + 1.0, 2 * WIDTH)], (), LEFT, LIMITS[Rule.SAME_WAY], Rule.SAME_WAY),  # over the gap
        ([OWN, along(2, WIDTH + 1.0, 2 * WIDTH, False)], (), LEFT, LIMITS[Rule.ONCOMING], Rule.ONCOMING),
    ],
)  # fmt: skip
def test_each_rule_goes_as_far_as_it_says(lanes, features, side, metres, rule):
    drafted, _ = of(lanes, features)
    assert reach(drafted, side) == (pytest.approx(metres), rule)


def test_in_a_junction_a_corridor_goes_over_lanes_that_cross():
    across = scenes.lane_along(2, [[110.0, -60.0], [110.0, 60.0]], [[114.0, -60.0], [114.0, 60.0]])
    drafted, _ = of([OWN, across])
    assert reach(drafted, LEFT, x=112.0) == (pytest.approx(LIMITS[Rule.JUNCTION]), Rule.JUNCTION)
    assert reach(drafted, LEFT, x=104.0)[1] == Rule.PAINTED


def test_a_border_that_two_permissible_lanes_share_is_not_moved():
    drafted, path = of(scenes.straight_road(lanes=2, length=200.0).lanes)
    left, right = (
        np.flatnonzero((path.flags & int(flag)).any(axis=0)) for flag in (RouteFlag.WIDE_LEFT, RouteFlag.WIDE_RIGHT)
    )
    assert len(left) == len(right) == 1 and left != right
    assert not (path.flags[:, left] & int(RouteFlag.WIDE_RIGHT)).any()
    own = drafted.corridors.borders(drafted.lanes, path.stations, path.flags)
    inner = drafted.lanes.left[path.stations][:, right[0]]
    np.testing.assert_array_equal(own[0][:, right[0]], inner)


@pytest.mark.parametrize("features", [(), edges(-1.2, 9.0)])
@pytest.mark.parametrize(
    "recording", [scenes.straight_road(lanes=2, length=200.0), scenes.curve(25.0), scenes.crossing()]
)
def test_open_borders_are_those_on_the_outline_of_the_corridor(recording, features):
    """Against shapely: the union of the moved pieces."""
    drafted = draft(dataclasses.replace(recording, features=features))
    path = drafted.paths[0]
    assert (path.flags & int(RouteFlag.WIDE_LEFT | RouteFlag.WIDE_RIGHT)).any()
    left, right = drafted.corridors.borders(drafted.lanes, path.stations, path.flags)
    row, slot = np.nonzero(path.flags & int(RouteFlag.LINKED))
    corners = np.stack([left[row, slot], left[row + 1, slot], right[row + 1, slot], right[row, slot]], 1)
    union = shapely.union_all(shapely.make_valid(shapely.polygons(corners)))
    outline = union.boundary.buffer(1e-4)
    bits = (RouteFlag.OPEN_LEFT, RouteFlag.OPEN_END, RouteFlag.OPEN_RIGHT, RouteFlag.OPEN_START)
    for at in range(len(row)):
        for side, bit in enumerate(bits):
            border = shapely.LineString([corners[at, side], corners[at, (side + 1) % 4]])
            assert bool(path.flags[row[at], slot[at]] & bit) == (border.intersection(outline).length > 0.01)
    bare = [drafted.lanes.left[path.stations], drafted.lanes.right[path.stations]]
    quads = np.stack([bare[0][row, slot], bare[0][row + 1, slot], bare[1][row + 1, slot], bare[1][row, slot]], 1)
    lanes = shapely.union_all(shapely.make_valid(shapely.polygons(quads)))
    assert union.buffer(1e-6).covers(lanes) and union.area > lanes.area + 10.0
    assert lanes.buffer(max(LIMITS.values()) + 0.1).covers(union)


def test_what_each_rule_widened_is_counted():
    scenario, report = compile_recording(
        scenes.recording([OWN], (scenes.along_x(WIDTH / 2, 20.0, speed=6.0),), features=edges(-1.2, 9.0))
    )
    counts = {name: count for name, count in report.notes.items() if name.startswith("corridor_")}
    flags = np.asarray(scenario.egos.route.flags)
    moved = [int(((flags & int(flag)) != 0).sum()) for flag in (RouteFlag.WIDE_LEFT, RouteFlag.WIDE_RIGHT)]
    assert counts and sum(counts.values()) == sum(moved)
    assert set(counts) <= {f"corridor_{rule.name.lower()}" for rule in Rule}


def test_borders_move_along_their_cross_section():
    left, right = np.array([[0.0, 4.0], [5.0, 4.0]]), np.array([[3.0, 0.0], [5.0, 0.0]])
    flags = np.array([RouteFlag.WIDE_LEFT | RouteFlag.WIDE_RIGHT, RouteFlag.WIDE_RIGHT], np.uint32)
    moved = moved_borders(left, right, np.array([[1.0, 2.0], [1.0, 2.0]]), flags)
    np.testing.assert_allclose(moved[0], [[-0.6, 4.8], [5.0, 4.0]])
    np.testing.assert_allclose(moved[1], [[4.2, -1.6], [5.0, -2.0]])


def test_the_documentation_names_every_rule_with_its_limit():
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \| .* \| ([0-9.]+) m \|$", text)
    assert {name: float(metres) for name, metres in rows} == {rule.name.lower(): LIMITS[rule] for rule in Rule}
