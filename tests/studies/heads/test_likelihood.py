"""How likely recorded driving is: densities by SciPy, and probabilities by hand."""

import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from scipy.stats import multivariate_normal

from drivetrain.banks.part import Lot
from drivetrain.env import Env
from drivetrain.learn.bc import Bc
from drivetrain.policy.base import Policy
from drivetrain.policy.categorical import Categorical
from drivetrain.policy.joint import Joint
from drivetrain.sim.building import make_bank
from drivetrain.studies.heads.likelihood import BROAD, SHARE, choices, places, surprise


class Uniform(Policy):
    """Every action of the grid alike, but for what one of them has more."""

    more: float
    joint: bool

    def __call__(self, observation, memory, key):
        if self.joint:
            return Joint(jnp.zeros((71, 31)).at[40, 15].set(self.more)), jnp.zeros(()), memory
        columns = jnp.zeros(71).at[40].set(self.more), jnp.zeros(31).at[15].set(self.more)
        return Categorical(columns), jnp.zeros(()), memory


@pytest.fixture(scope="module")
def lot():
    """A car at 8 m/s, straight on, in pieces of a second at most."""
    cars = (scenes.along_x(1.75, 20.0, speed=8.0),)
    bank = make_bank([scenes.scenario(scenes.straight_road(agents=cars, steps=24))], 0.2, longest=5)
    return Lot(bank, ("straight",), (0,), steps=5)


def test_a_density_is_that_of_kernels_about_what_was_reached():
    draw = np.random.default_rng(0)
    reached, recorded = draw.normal(size=(6, 9, 2)), draw.normal(size=(6, 2))
    for row, (places_, place) in enumerate(zip(reached, recorded, strict=True)):
        near = np.mean([multivariate_normal(mean, 0.25**2 * np.eye(2)).pdf(place) for mean in places_])
        broad = multivariate_normal(places_.mean(axis=0), BROAD**2 * np.eye(2)).pdf(place)
        expected = -np.log((1.0 - SHARE) * near + SHARE * broad)
        assert surprise(reached, recorded, 0.25)[row] == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(surprise(reached, recorded + 20.0, 0.01)).all()


@pytest.mark.parametrize("joint", [False, True])
def test_choices_count_the_log_s_own_by_their_probabilities(lot, joint):
    """Straight on at constant speed is one value of each column, all along."""
    nats, steps, cluster = choices(Env(), Bc(longest=5), Uniform(2.0, joint), lot)
    cells = [71 * 31] if joint else [71, 31]
    each = sum(np.log(count - 1 + np.exp(2.0)) - 2.0 for count in cells)
    np.testing.assert_array_equal(steps, np.asarray(lot.bank.episodes.last - lot.bank.episodes.first))
    assert len(cluster) == len(lot.rows()) == 5
    np.testing.assert_allclose(nats, each * steps, rtol=1e-4)


def test_places_are_where_samples_and_the_log_are_after_a_second(lot):
    """Of a policy that keeps its speed for certain; and one that does anything."""
    reached, recorded, cluster = places(Env(), Uniform(60.0, True), lot, 3)
    whole = np.asarray(lot.bank.episodes.last - lot.bank.episodes.first) == 5
    assert reached.shape == (whole.sum(), 3, 2) and len(cluster) == whole.sum() < len(whole)
    np.testing.assert_allclose(reached, np.broadcast_to(recorded[:, None], reached.shape), atol=0.02)
    spread, again, _ = places(Env(), Uniform(0.0, True), lot, 3)
    np.testing.assert_array_equal(again, recorded)
    assert np.ptp(spread, axis=1).max() > 0.1
    sure, wild = (np.mean(surprise(each, recorded, 0.25)) for each in (reached, spread))
    assert sure == pytest.approx(np.log(2.0 * np.pi * 0.25**2) - np.log(1.0 - SHARE), abs=0.02) and sure < wild
