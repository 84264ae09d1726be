import jax
import jax.numpy as jnp
import pytest

from drivetrain.events.red_light import red_light as fact
from drivetrain.types import LightState

red_light = jax.jit(fact)


def margin(scene, before, after, light=LightState.RED, light_after=None):
    states = scene.state(before, light=light), scene.state(after, light=light if light_after is None else light_after)
    return float(red_light(scene.bank, *states, jnp.int32(0)))


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene(lines=[draw.at_20], kinds=[draw.light])


@pytest.mark.parametrize("light", [LightState.RED, LightState.RED_YELLOW])
def test_distance_to_the_line_and_past_it(scene, light):
    assert margin(scene, (8, 0, 0), (10, 0, 0), light) == pytest.approx(8.0)
    assert margin(scene, (17.5, 0, 0), (18, 0, 0), light) == 0.0
    assert margin(scene, (17, 0, 0), (19.5, 0, 0), light) == pytest.approx(-1.5)
    assert margin(scene, (19.5, 0, 0), (22, 0, 0), light) == 50.0


@pytest.mark.parametrize("light", [LightState.GREEN, LightState.YELLOW, LightState.OFF, LightState.UNKNOWN])
def test_no_other_state_is_red(scene, light):
    assert margin(scene, (17, 0, 0), (19.5, 0, 0), light) == 50.0


def test_the_light_counts_as_the_agent_saw_it(scene):
    assert margin(scene, (17, 0, 0), (19.5, 0, 0), LightState.GREEN, LightState.RED) == 50.0
    assert margin(scene, (17, 0, 0), (19.5, 0, 0), LightState.RED, LightState.GREEN) == pytest.approx(-1.5)


def test_beside_the_line_in_the_next_lane(scene):
    assert margin(scene, (17, 4, 0), (19.5, 4, 0)) == 50.0


def test_a_modelled_light_fails_nobody(draw):
    modelled = draw.scene(lines=[draw.at_20], kinds=[draw.light], judged=[False])
    assert margin(modelled, (17, 0, 0), (19.5, 0, 0)) == 50.0


def test_a_stop_sign_is_no_light(draw):
    assert margin(draw.scene(lines=[draw.at_20], kinds=[draw.sign]), (17, 0, 0), (19.5, 0, 0)) == 50.0


def test_no_lines_at_all(draw):
    assert margin(draw.scene(), (17, 0, 0), (19.5, 0, 0)) == 50.0


def test_the_worst_of_several_lines(draw):
    scene = draw.scene(lines=[((30, 2), (30, -2)), draw.at_20], kinds=[draw.light] * 2)
    assert margin(scene, (8, 0, 0), (10, 0, 0)) == pytest.approx(8.0)
    assert margin(scene, (17, 0, 0), (19, 0, 0)) == pytest.approx(-1.0)
    assert margin(scene, (19, 0, 0), (21, 0, 0)) == pytest.approx(7.0)
