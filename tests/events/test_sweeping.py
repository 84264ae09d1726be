"""Boxes that pass through each other within a step, against the same motion in a thousand steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely

from drivetrain.events.collision import collision
from drivetrain.events.sweeping import swept_collision
from drivetrain.types import replace

swept = jax.jit(swept_collision)
at_steps = jax.jit(collision)
LENGTH, WIDTH, FINE = 4.0, 2.0, 400


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene(agents=2, egos=2)


def corners(pose):
    x, y, angle = pose
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    box = 0.5 * np.array([[LENGTH, WIDTH], [LENGTH, -WIDTH], [-LENGTH, -WIDTH], [-LENGTH, WIDTH]])
    return box @ turn.T + [x, y]


def in_small_steps(before, after):
    """The deepest that a corner or the middle of either comes into the other on the way, and whether the boxes ever
    meet, m.
    """
    deepest, meet = -np.inf, False
    for share in np.linspace(0.0, 1.0, FINE):
        boxes = [corners((1.0 - share) * np.array(b) + share * np.array(a)) for b, a in zip(before, after, strict=True)]
        polygons = [shapely.Polygon(box) for box in boxes]
        meet |= polygons[0].intersects(polygons[1])
        for own, other in ((0, 1), (1, 0)):
            points = shapely.points([*boxes[own], boxes[own].mean(0)])
            inside = shapely.contains(polygons[other], points)
            depth = np.where(inside, 1.0, -1.0) * shapely.distance(polygons[other].boundary, points)
            deepest = max(deepest, float(depth.max()))
    return deepest, meet


def test_cars_that_change_places_have_met(scene):
    """Two cars side by side that cross over: apart before and after."""
    before, after = ((0.0, 0.0, 0.0), (0.0, 6.0, 0.0)), ((5.0, 6.0, 0.0), (5.0, 0.0, 0.0))
    states = scene.state(*before), scene.state(*after)
    assert float(at_steps(scene.bank, *states, jnp.int32(0))) > 0.0
    assert float(swept(scene.bank, *states, jnp.int32(0))) < -0.5
    assert float(swept(scene.bank, *states, jnp.int32(1))) < -0.5


@pytest.mark.parametrize(("turn", "moved", "tolerance", "least"), [(0.0, 9.0, 0.02, 5), (0.1, 4.0, 0.25, 0)])
def test_what_is_found_is_what_small_steps_find(scene, turn, moved, tolerance, least):
    """Exact for cars that do not turn; within decimetres for those that turn by as much as a car can in 0.3 s."""
    random, found, missed = np.random.default_rng(1), 0, 0
    for _ in range(60):
        before = [(*random.uniform(-5.0, 5.0, 2), random.uniform(-3.0, 3.0)) for _ in range(2)]
        after = [
            (*(np.array(b[:2]) + random.uniform(-moved, moved, 2)), b[2] + random.uniform(-turn, turn)) for b in before
        ]
        states = scene.state(*before), scene.state(*after)
        margins = [float(swept(scene.bank, *states, jnp.int32(c))) for c in (0, 1)]
        plain = float(at_steps(scene.bank, *states, jnp.int32(0)))
        deepest, meet = in_small_steps(before, after)
        assert margins[0] == pytest.approx(margins[1], abs=1e-4) and margins[0] <= plain
        if deepest > tolerance:
            assert margins[0] < 0.0
            found += plain > 0.0
        elif deepest < -tolerance and plain > 0.0:
            assert margins[0] == plain
            missed += meet
    assert found >= least and missed <= 2  # boxes may lie across each other without a corner inside


def test_nobody_collides_with_who_was_not_there(scene):
    before, after = ((0.0, 0.0, 0.0), (0.0, 6.0, 0.0)), ((5.0, 6.0, 0.0), (5.0, 0.0, 0.0))
    first, last = scene.state(*before), scene.state(*after)
    gone = replace(first, agents=replace(first.agents, valid=jnp.array([True, False]))), last
    assert float(swept(scene.bank, *gone, jnp.int32(0))) == float(at_steps(scene.bank, *gone, jnp.int32(0)))
