"""Labels on the grid: what is asked where, and that decoding what is asked for gives the labels back."""

import math
from pathlib import Path

import numpy as np
import pytest

from drivetrain.camera.pinhole import Camera, Mount
from drivetrain.perception.decoding import Decoding, decode
from drivetrain.perception.labelled import Boxed, Labelled, Line
from drivetrain.perception.network import Seen
from drivetrain.perception.targets import Targets, along, targets_of
from drivetrain.perception.warping import Warp, fitted

CAMERA = Camera(640, 384, 500.0, 500.0, 319.5, 191.5, mount=Mount(z=1.5))


def labelled(things=(), lines=(), camera: Camera | None = CAMERA, ignored=(), only_named=False) -> Labelled:
    return Labelled(
        Path("none.png"),
        640,
        384,
        tuple(things),
        tuple(lines),
        only_named,
        np.array(ignored, float).reshape(-1, 4),
        camera,
    )


def on_the_road(aside: float, first: float = 4.0, last: float = 60.0, hidden: tuple[float, float] = (0.0, 0.0)) -> Line:
    """A straight line so far to the right of a level camera."""
    depth = np.arange(first, last, 2.0)
    points = np.column_stack([500.0 * aside / depth + 319.5, 500.0 * 1.5 / depth + 191.5, depth])
    return Line(points, ~((depth > hidden[0]) & (depth < hidden[1])))


def seen_of(targets: Targets) -> Seen:
    """A network that says what it is asked to."""
    sure = lambda mask, weight: np.where((mask > 0) & (weight > 0), 6.0, -9.0)  # noqa: E731
    return Seen(
        vehicle=sure(targets.vehicle, targets.vehicle_weight),
        sides=targets.sides,
        depth=targets.depth,
        lane=sure(targets.lane, targets.lane_weight),
        segment=targets.segment,
        ends=targets.ends,
    )


def found_of(labels: Labelled):
    warp = fitted(640, 384, 640, math.nan if labels.camera is None else labels.camera.fx)
    return decode(seen_of(targets_of(labels, warp)), warp, 640, 384, labels.camera, Decoding())


def test_boxes_come_back():
    cars = [Boxed((100.0, 150.0, 180.0, 210.0), "car", 12.0), Boxed((300.0, 180.0, 316.0, 192.0), "truck", 50.0)]
    found = sorted(found_of(labelled(cars)).things, key=lambda one: one.depth)
    assert len(found) == 2
    for one, car in zip(found, cars, strict=True):
        assert one.box == pytest.approx(car.box, abs=0.01)
        assert one.depth == pytest.approx(car.depth, rel=1e-3) and one.score > 0.9


def test_lines_come_back_in_metres_with_their_roles():
    asides = {"ego_left": -1.7, "ego_right": 1.9, "left2": -5.2}
    found = found_of(labelled(lines=[on_the_road(aside) for aside in asides.values()]))
    assert {one.line.role for one in found.lines} == set(asides)
    for one in found.lines:
        points = one.line.points
        across = (points[:, 0] - 319.5) / 500.0 * points[:, 2]
        assert np.allclose(across, asides[one.line.role], atol=0.03)
        assert np.allclose(points[:, 1], 750.0 / points[:, 2] + 191.5, atol=0.3)
        assert points[0, 2] < (9.0 if one.line.role == "left2" else 6.0) < 50.0 < points[-1, 2]


def test_what_hides_a_line_does_not_make_it_two():
    found = found_of(labelled(lines=[on_the_road(1.8, hidden=(9.0, 22.0))]))
    assert len(found.lines) == 1
    assert found.lines[0].line.points[-1, 2] > 50.0


def test_the_nearer_of_two_has_the_cell():
    cars = [Boxed((100.0, 100.0, 140.0, 130.0), "car", 10.0), Boxed((102.0, 98.0, 142.0, 128.0), "car", 30.0)]
    targets = targets_of(labelled(cars), fitted(640, 384, 640, 500.0))
    assert np.allclose(np.exp(targets.depth[targets.vehicle > 0]) * 500.0, 10.0, rtol=1e-3)


def test_of_what_nobody_asks():
    warp = fitted(640, 384, 640, 500.0)
    small, hidden = (
        Boxed((100.0, 100.0, 110.0, 105.0), "car", 80.0),
        Boxed((200.0, 100.0, 260.0, 160.0), "car", 9.0, 0.1),
    )
    person = Boxed((400.0, 100.0, 420.0, 160.0), "pedestrian", 9.0)
    for thing in (small, hidden, person):
        targets = targets_of(labelled([thing]), warp)
        x, y = int(0.5 * (thing.box[0] + thing.box[2]) / 8), int(0.5 * (thing.box[1] + thing.box[3]) / 8)
        assert targets.vehicle.sum() == 0.0
        assert thing is small or targets.vehicle_weight[y, x] == 0.0
        assert targets.vehicle_weight[0, 0] == 1.0
    ignored = targets_of(labelled(ignored=[(0.0, 0.0, 50.0, 50.0)]), warp)
    assert ignored.vehicle_weight[2, 2] == 0.0 and ignored.vehicle_weight[20, 20] == 1.0
    nobody = Labelled(Path("none.png"), 640, 384)
    targets = targets_of(nobody, warp)
    assert targets.vehicle_weight.sum() == 0.0 == targets.lane_weight.sum()
    sheared = Warp(warp.matrix, warp.width, warp.height, warp.focal, vehicles=False)
    assert targets_of(labelled([Boxed((100.0, 150.0, 180.0, 210.0), "car", 12.0)]), sheared).vehicle_weight.sum() == 0.0


def test_depths_that_nobody_knows_are_not_asked_for():
    line = on_the_road(1.8)
    unknown = Line(np.column_stack([line.points[:, :2], np.full(len(line.points), np.nan)]), line.visible)
    targets = targets_of(labelled([Boxed((100.0, 150.0, 180.0, 210.0), "car")], [unknown], None), fitted(640, 384, 640))
    assert targets.vehicle.sum() > 0.0 and targets.lane.sum() > 10.0
    assert targets.depth_weight.sum() == 0.0 == targets.ends_weight.sum()
    assert np.isfinite(targets.ends).all() and np.isfinite(targets.depth).all()


def test_hidden_pieces_and_neighbours_that_may_be_missing_are_not_asked_for():
    whole = targets_of(labelled(lines=[on_the_road(1.8)]), fitted(640, 384, 640, 500.0))
    hidden = targets_of(labelled(lines=[on_the_road(1.8, hidden=(9.0, 22.0))]), fitted(640, 384, 640, 500.0))
    assert 0.0 < (hidden.lane * hidden.lane_weight).sum() < (whole.lane * whole.lane_weight).sum()
    named = targets_of(labelled(lines=[on_the_road(1.8)], only_named=True), fitted(640, 384, 640, 500.0))
    assert 0.0 < named.lane_weight.sum() < 0.2 * whole.lane_weight.sum()


def test_a_line_that_leaves_the_picture_reaches_its_border():
    points = along(on_the_road(1.8), labelled(), fitted(640, 384, 640, 500.0))
    assert points[0, 1] > 383.0
    inside = along(on_the_road(1.8, first=12.0), labelled(), fitted(640, 384, 640, 500.0))
    assert inside[:, 1].max() == pytest.approx(191.5 + 750.0 / 12.0, abs=0.01)
