import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.reward import Reward
from drivetrain.types import Events, Manner, Scales, Traits, Weights, replace


def events(manner=None, **facts):
    safe = dict.fromkeys(("collision", "off_route", "off_road", "stop_line", "red_light"), 50.0)
    calm = dict.fromkeys(("progress", "overspeed", "acceleration", "lateral", "goal"), 0.0)
    return Events(**{name: jnp.float32(value) for name, value in (safe | calm | facts).items()}, manner=manner)


def reward(dt=0.2, **facts):
    return float(Reward()(events(**facts), None, dt))


def test_nothing_happens_nothing_is_paid():
    assert reward() == 0.0


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"progress": 3.0}, 0.06),
        ({"progress": -3.0}, -0.06),
        ({"overspeed": 5.0}, -0.04),
        ({"acceleration": -2.0}, -0.008),
        ({"lateral": 3.0}, -0.018),
        ({"collision": -0.1}, -10.0),
        ({"off_route": -1.0, "red_light": -0.5, "stop_line": -2.0}, -30.0),
        ({"collision": 0.0}, 0.0),  # touching
        ({"off_road": -1.0}, 0.0),  # observed, not paid
    ],
)
def test_each_term_in_closed_form(facts, expected):
    assert reward(**facts) == pytest.approx(expected, abs=1e-6)


def test_a_jump_along_the_route_pays_no_more_than_top_speed():
    assert reward(progress=500.0) == pytest.approx(0.02 * 40.0 * 0.2)


def test_two_short_steps_pay_like_one_long_step():
    whole = reward(0.2, progress=3.0, overspeed=2.0, acceleration=1.0, lateral=1.5)
    half = reward(0.1, progress=1.5, overspeed=2.0, acceleration=1.0, lateral=1.5)
    assert whole == pytest.approx(2.0 * half, abs=1e-6)


def test_speeding_does_not_pay():
    """1 m/s above the limit for 1 s: 0.02 earned as progress, 0.04 paid."""
    assert reward(progress=16.0 * 0.2, overspeed=1.0) < reward(progress=15.0 * 0.2)


def test_a_failure_outweighs_a_drive():
    drive = sum(reward(progress=15.0 * 0.2) for _ in range(50))
    assert drive == pytest.approx(3.0, abs=1e-4)
    assert drive + reward(collision=-1.0) < 0.0


def test_gradients_are_finite():
    slopes = jax.grad(lambda e: Reward()(e, None, 0.2))(events(collision=0.0, progress=8.0))
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(slopes))


def test_weights_are_its_configuration():
    assert hash(Reward()) == hash(Reward())
    assert float(replace(Reward(), collision=7.0)(events(collision=-1.0), None, 0.2)) == -7.0


UNWEIGHED = {"top_speed", "impact", "against", "moving"}
TERMS = tuple(field.name for field in dataclasses.fields(Weights))


def test_every_weighed_term_has_a_factor():
    assert set(TERMS) == {field.name for field in dataclasses.fields(Reward)} - UNWEIGHED


@pytest.mark.parametrize("term", TERMS)
def test_a_factor_scales_its_own_term_alone(term):
    """Everything happens at once: only the term's own share of the reward is tripled."""
    facts = {"progress": 3.0, "overspeed": 5.0, "acceleration": -2.0, "lateral": 3.0, "goal": 1.0}
    facts |= dict.fromkeys(("collision", "off_route", "off_road", "red_light", "stop_line"), -1.0)
    facts["manner"] = Manner(*map(jnp.float32, (0.9, 0.5, -3.0, 8.0)))
    priced = Reward(off_road=3.0, goal=0.5, time=0.1, alignment=0.3, centre=0.2, reverse=0.1, comfort=0.4)
    factors = Weights(**{name: jnp.float32(3.0 if name == term else 1.0) for name in TERMS})
    scales = Scales(*(jnp.float32(1.0) for _ in Scales.__dataclass_fields__))
    weighed = float(priced(events(**facts), Traits(factors, scales), 0.2))
    whole = float(priced(events(**facts), None, 0.2))
    own = whole - float(replace(priced, **{term: 0.0})(events(**facts), None, 0.2))
    assert own != 0.0 and weighed == pytest.approx(whole + 2.0 * own, abs=1e-4)


def test_goals_time_and_leaving_the_road_are_paid_where_they_have_a_price():
    priced = Reward(goal=0.5, time=0.1, off_road=3.0)
    assert float(priced(events(goal=1.0), None, 0.2)) == pytest.approx(0.5 - 0.02)
    assert float(priced(events(off_road=-0.1), None, 0.2)) == pytest.approx(-3.0 - 0.02)
    assert reward(goal=1.0) == 0.0 and reward(off_road=-0.1) == 0.0
