"""Who meets whom: the ego's agents are the ego's, they alone are counted, and styles are those of the table."""

import jax.numpy as jnp
import pytest

from drivetrain.observe.sight import Sight
from drivetrain.rollout import Driver
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.styles import Styles
from drivetrain.studies.meetings import EGOS, STYLES, Meetings, contrast_table, matrix_table
from drivetrain.types import replace

BRAKES, GOES = -15.0, 4.0


class Presses(Driver):
    """One jerk straight on, always."""

    jerk: jnp.ndarray

    def __call__(self, bank, state, observation, memory, key):
        return jnp.tile(jnp.stack([self.jerk, 0.0]), (len(state.alive), 1)), memory


class Careful(Driver):
    """Brakes where collisions are dear."""

    def __call__(self, bank, state, observation, memory, key):
        jerk = jnp.where(state.traits.weights.collision > 0.5, BRAKES, GOES)
        return jnp.stack([jerk, jnp.zeros_like(jerk)], axis=1), memory


@pytest.fixture
def meetings(errands):
    town = replace(errands.asked.town, agents=EGOS + 4)
    return Meetings(replace(errands, asked=replace(errands.asked, town=town, seconds=8.0)), worlds=2)


def speeds(matrix):
    return {ego: {others: figures["speed"]["value"] for others, figures in row.items()} for ego, row in matrix.items()}


def test_egos_alone_are_counted_whoever_is_around(meetings):
    drivers = {"brakes": Presses(jnp.float32(BRAKES)), "goes": Presses(jnp.float32(GOES))}
    matrix = meetings.among(drivers, drivers | {"idm": meetings.idm()})
    assert {figures["agents"] for row in matrix.values() for figures in row.values()} == {EGOS}
    found = speeds(matrix)
    assert set(found) == set(drivers) and all(set(row) == {"brakes", "goes", "idm"} for row in found.values())
    assert max(found["brakes"].values()) < 3.0 < 5.0 < min(found["goes"].values())
    page = matrix_table("Ego", matrix, str.upper)
    assert "among IDM" in page and page.count("<td>") == 6


def test_a_rule_drives_on_the_worlds_dynamics(meetings):
    figures = meetings.figures(meetings.idm())
    assert 2.0 < figures["speed"]["value"] < 15.0 and figures["goals"] > 0


def test_who_has_no_styles_is_not_conditioned(meetings):
    assert meetings.conditioned(Careful()) == ({}, {})


def test_the_ego_is_in_its_own_style_and_the_others_in_theirs(meetings):
    run = meetings.run
    env = replace(
        run.env, spawning=Anywhere(styles=Styles()), observer=Sight(agents=2, road=2, errand=True, traits=True)
    )
    matrix, contrasts = Meetings(replace(run, env=env), worlds=2).conditioned(Careful())
    found = speeds(matrix)
    assert list(found) == list(STYLES) and all(list(row) == list(STYLES) for row in found.values())
    assert max(found["conservative"].values()) < 3.0 < 5.0 < min(found["hasty"].values())
    assert max(found["conservative"].values()) < min(found["median"].values())
    for others, contrast in contrasts.items():
        faster = found["hasty"][others] - found["conservative"][others]
        assert contrast["speed"]["value"] == pytest.approx(faster) and contrast["speed"]["low"] > 1.0
    assert contrast_table(contrasts).count("<td>") == 8 * len(STYLES)
