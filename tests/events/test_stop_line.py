import jax
import jax.numpy as jnp
import pytest

from drivetrain import events as facts
from drivetrain.events.stop_line import latch_stops as latch_fact
from drivetrain.events.stop_line import stop_line as fact

stop_line, latch_stops = jax.jit(fact), jax.jit(latch_fact)
detect, latch = jax.jit(facts.detect), jax.jit(facts.latch)


def margin(scene, before, after, **changes):
    return float(stop_line(scene.bank, scene.state(before, **changes), scene.state(after), jnp.int32(0)))


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene(lines=[draw.at_20], kinds=[draw.sign])


def test_a_stop_is_owed(scene):
    assert margin(scene, (8, 0, 0), (10, 0, 0)) == pytest.approx(8.0)
    assert margin(scene, (17, 0, 0), (19.5, 0, 0)) == pytest.approx(-1.5)
    assert margin(scene, (19.5, 0, 0), (22, 0, 0)) == 50.0


def test_who_has_stopped_may_go(scene):
    assert margin(scene, (17, 0, 0), (19.5, 0, 0), stopped=[0]) == 50.0


def test_who_stands_before_the_line_may_go(scene):
    assert margin(scene, (17, 0, 0), (19.5, 0, 0), speed=0.2) == 50.0


@pytest.mark.parametrize(
    ("x", "y", "speed", "latched"),
    [
        (15.1, 0.0, 0.4, True),  # bumper 2.9 m before the line
        (14.9, 0.0, 0.0, False),  # 3.1 m
        (16.0, 0.0, 0.6, False),  # rolls
        (18.0, 0.0, 0.0, True),  # on the line
        (18.5, 0.0, 0.0, False),  # beyond
        (16.0, 6.0, 0.0, False),  # two lanes aside
    ],
)
def test_latch(scene, x, y, speed, latched):
    state = scene.state((x, y, 0), speed=speed)
    assert latch_stops(scene.bank, state, state, jnp.int32(0)).tolist() == [latched]


def test_a_latch_is_never_lost(scene):
    state = scene.state((60, 0, 0), stopped=[0])
    assert latch_stops(scene.bank, state, state, jnp.int32(0)).tolist() == [True]


@pytest.mark.parametrize("kind", ["light", "line"])
def test_no_sign_no_stop(draw, kind):
    other = draw.scene(lines=[draw.at_20], kinds=[getattr(draw, kind)])
    assert margin(other, (17, 0, 0), (19.5, 0, 0)) == 50.0


def drive(scene, places):
    """Margins of a drive through (x, speed), with the latch carried on."""
    margins, before = [], scene.state((places[0][0], 0, 0), speed=places[0][1])
    for x, speed in places[1:]:
        now = scene.state((x, 0, 0), speed=speed)
        margins.append(float(detect(scene.bank, before, now).stop_line[0]))
        after = latch(scene.bank, before, now)
        before = scene.state((x, 0, 0), speed=speed, stopped=[0] if bool(after.stopped[0, 0]) else [])
    return margins


def test_drive_that_stops(scene):
    assert drive(scene, [(14, 5), (16, 2), (17, 0.1), (17.5, 3), (19, 5)]) == pytest.approx([2.0, 1.0, 50.0, 50.0])


def test_drive_that_rolls_through(scene):
    assert drive(scene, [(14, 5), (16, 2), (17, 1), (17.5, 3), (19, 5)]) == pytest.approx([2.0, 1.0, 0.5, -1.0])
