"""What there is to be seen, beside rays cast one by one with shapely."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
import shapely
import shapely.affinity

from drivetrain.camera.pinhole import Camera, of_field
from drivetrain.perception.exposure import Ahead, exposed, own_lines
from drivetrain.perception.report import STATIONS, half_field
from drivetrain.sim.building import make_bank

HALF = 0.6
see = jax.jit(exposed, static_argnums=1)


def crowd(seed: int, count: int = 10) -> Ahead:
    draw = np.random.default_rng(seed)
    angle = draw.uniform(-np.pi, np.pi, count)
    rows = draw.uniform(2.0, 60.0, count), draw.uniform(-20.0, 20.0, count), np.cos(angle), np.sin(angle)
    size = draw.uniform(3.0, 12.0, count), draw.uniform(1.5, 2.5, count)
    return Ahead(*(jnp.asarray(row, jnp.float32) for row in (*rows, *size)), jnp.arange(count) != 3)


def shape(boxes: Ahead, row: int) -> shapely.Polygon:
    long, wide = float(boxes.length[row]) / 2, float(boxes.width[row]) / 2
    angle = float(np.arctan2(boxes.sin[row], boxes.cos[row]))
    turned = shapely.affinity.rotate(shapely.box(-long, -wide, long, wide), angle, origin=(0, 0), use_radians=True)
    return shapely.affinity.translate(turned, float(boxes.x[row]), float(boxes.y[row]))


@pytest.mark.parametrize("seed", range(6))
def test_depths_and_borders_are_those_of_what_is_within_the_picture(seed):
    boxes = crowd(seed)
    found = see(boxes, HALF)
    picture = shapely.Polygon([(0.5, -HALF / 2), (0.5, HALF / 2), (200, 200 * HALF), (200, -200 * HALF)])
    for row in range(len(boxes.x)):
        part = shape(boxes, row).intersection(picture)
        if row == 3 or part.area < 1e-2:
            assert row != 3 or not found.there[row]
            continue
        x, y = np.asarray(part.exterior.coords).T
        assert float(found.depth[row]) == pytest.approx(x.min(), abs=2e-2)
        assert float(found.left[row]) == pytest.approx((y / x).max(), abs=2e-3)
        assert float(found.right[row]) == pytest.approx((y / x).min(), abs=2e-3)
        beyond = not shape(boxes, row).within(picture)
        assert bool(found.cut[row]) == beyond


def test_of_what_a_nearer_vehicle_covers_no_column_counts():
    def car(x, y):
        return x, y, 1.0, 0.0, 4.0, 2.0, True

    rows = zip(*[car(12.0, 0.0), car(32.0, 0.0), car(32.0, 3.5), car(62.0, 0.0)], strict=True)
    found = see(Ahead(*(jnp.asarray(row) for row in rows)), HALF)
    # The first covers slopes of ±0.1; the second, ±1/30, is behind it; the third begins at 2.5/34 and ends at 4.5/30.
    assert found.there.all() and found.share[1] == found.share[3] == 0.0
    visible = (4.5 / 30 - 0.1) / (4.5 / 30 - 2.5 / 34)
    assert float(found.share[2]) == pytest.approx(visible, abs=0.15)
    assert found.share[0] == 1.0 and found.depth[0] == 10.0


def test_order_does_not_count():
    boxes = crowd(7)
    order = np.random.default_rng(0).permutation(len(boxes.x))
    found, shuffled = see(boxes, HALF), see(jax.tree.map(lambda row: row[order], boxes), HALF)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(np.asarray(a)[order], b, atol=1e-6), found, shuffled)


def test_alongside_and_behind_nothing_is_seen():
    rows = [0.0, -20.0, 3.0], [3.0, 0.0, 30.0]
    boxes = Ahead(
        *(jnp.asarray(row) for row in (*rows, *[[1.0] * 3, [0.0] * 3, [4.0] * 3, [2.0] * 3])), jnp.ones(3, bool)
    )
    found = see(boxes, HALF)
    assert not found.there.any() and not found.share.any() and np.isfinite(found.depth).all()


def test_the_lines_of_the_own_lane_on_a_straight_road_and_in_a_bend():
    bank = make_bank([scenes.scenario(scenes.straight_road())], 0.2)
    lines = jax.jit(own_lines)
    aside, there = lines(bank, jnp.int32(0), jnp.array([60.0, 5.0]), jnp.array([1.0, 0.0]))
    assert there.all()  # three lanes of 3.5 m from y = 0
    np.testing.assert_allclose(aside, np.array([[2.0], [-1.5]]) * np.ones((1, len(STATIONS))), atol=1e-3)
    turned = lines(bank, jnp.int32(0), jnp.array([60.0, 5.0]), jnp.array([np.cos(0.05), np.sin(0.05)]))[0]
    np.testing.assert_allclose(turned[0], 2.0 / np.cos(0.05) - np.tan(0.05) * np.asarray(STATIONS), atol=1e-3)
    nowhere, known = lines(bank, jnp.int32(0), jnp.array([60.0, 60.0]), jnp.array([1.0, 0.0]))
    assert not known.any() and not nowhere.any()


def test_the_picture_of_a_camera_spans_its_field():
    assert half_field(of_field(320, 240, 60.0)) == pytest.approx(np.tan(np.radians(30.0)))
    assert half_field(Camera()) == pytest.approx(160.0 / 277.0)
