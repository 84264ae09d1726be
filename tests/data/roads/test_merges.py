import dataclasses

import numpy as np
import pytest
import scenes
import shapely

from drivetrain.data.roads.lanes import SEAM, Mending, stations_of
from drivetrain.data.roads.map_extension import extend_map
from drivetrain.data.roads.merges import LAP, snap_borders
from drivetrain.data.routes.routing import route

WIDTH = scenes.WIDTH


def merge(gap: float = 0.0):
    """Lane 1 along +x to x = 100, and a ramp (2) from below that reaches it at x = 60 and runs beside it, `gap` away.

    From x = 100 on, lanes 3 and 4 are neighbours that continue lanes 1 and 2.
    """
    upper, low = -gap, -gap - WIDTH
    ramp = [[0.0, upper - 12.0], [60.0, upper], [100.0, upper]], [[0.0, low - 12.0], [60.0, low], [100.0, low]]
    lanes = (
        scenes.lane_along(1, [[0.0, WIDTH], [100.0, WIDTH]], [[0.0, 0.0], [100.0, 0.0]], successors=(3,)),
        scenes.lane_along(2, *ramp, successors=(4,)),
        scenes.lane_along(3, [[100.0, WIDTH], [200.0, WIDTH]], [[100.0, 0.0], [200.0, 0.0]], right_neighbour=4),
        scenes.lane_along(4, [[100.0, 0.0], [200.0, 0.0]], [[100.0, -WIDTH], [200.0, -WIDTH]], left_neighbour=3),
    )
    return scenes.recording(lanes, (scenes.along_x(WIDTH / 2, 10.0),))


def backwards(recording):
    """The same road driven the other way: the ramp leaves."""
    lanes = tuple(
        dataclasses.replace(
            lane,
            left=lane.right[::-1],
            right=lane.left[::-1],
            successors=(),
            predecessors=lane.successors,
            left_neighbour=lane.right_neighbour,
            right_neighbour=lane.left_neighbour,
        )
        for lane in recording.lanes
    )
    agent = scenes.Agent([(190.0, WIDTH / 2), (-100.0, WIDTH / 2)])
    return scenes.recording(lanes, (agent,))


def test_a_ramp_runs_beside_the_road_from_where_it_reaches_it():
    lanes, _ = snap_borders(*stations_of(merge()))
    found = {(t.lane, t.beside): (t.first, t.last) for t in lanes.merges}
    assert set(found) == {(0, 1), (1, 0)}
    first, last = found[1, 0]
    assert last == lanes.count[1] - 1
    assert 55.0 < lanes.left[lanes.first[1] + first, 0] < 62.0  # within half a metre of the border from x = 57.5 on


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_no_sliver_stays_between_a_ramp_and_the_road(gap):
    lanes, mending = snap_borders(*stations_of(merge(gap)))
    assert max(gap, 0.3) <= mending.shift <= SEAM + LAP  # where the ramp is still closing in: 0.4 m at x = 58
    ramp, road = lanes.stations(1), lanes.stations(0)
    shapes = [shapely.Polygon([*lanes.left[rows], *lanes.right[rows][::-1]]) for rows in (ramp, road)]
    union = shapely.union_all(shapes)
    assert shapely.box(62.0, -1.0, 99.0, 1.0).difference(union).area < 1e-9


def test_a_wide_gap_is_no_merge():
    recording = merge(0.8)
    lanes, mending = stations_of(recording)
    found, after = snap_borders(lanes, mending)
    assert found.merges == ()
    assert after == mending == Mending(mending.points, mending.shift)


def permitted(recording):
    lanes = extend_map(*snap_borders(*stations_of(recording)))[0]
    tracks = recording.tracks
    heading = np.stack([np.cos(tracks.heading[0]), np.sin(tracks.heading[0])], 1)
    path = route(lanes, tracks.position[0], heading)
    return lanes, path


@pytest.mark.parametrize("recording", [merge(), backwards(merge())])
def test_the_ramp_is_permitted_where_it_runs_beside_the_road_and_no_further(recording):
    lanes, path = permitted(recording)
    row, slot = np.nonzero(path.flags & 1)
    here, there = path.stations[row, slot], path.stations[row + 1, slot]
    quads = np.stack([lanes.left[here], lanes.left[there], lanes.right[there], lanes.right[here]], 1)
    union = shapely.union_all(shapely.polygons(quads))
    assert union.covers(shapely.box(62.0, -WIDTH + 0.1, 190.0, WIDTH - 0.1))
    assert not union.intersects(shapely.box(0.0, -20.0, 50.0, -0.1))
