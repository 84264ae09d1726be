"""The modalities that read the bank, on hand-drawn roads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.env import Env
from drivetrain.observe.base import Observer
from drivetrain.observe.ego import observe_ego
from drivetrain.observe.road import observe_road
from drivetrain.observe.route import EVERY, POINT_FEATURES, SPARSE, RouteView, observe_route
from drivetrain.observe.sight import PAPER, SMALL
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import road_block
from drivetrain.types import ControlKind, LightState, replace

see_ego = jax.jit(lambda bank, state: observe_ego(bank, state, 0))


def metres(feature):
    return feature / (0.2 - np.sign(feature) * feature / 20.0)


def opened(recording, dt: float = 0.2):
    bank = make_bank([scenes.scenario(recording)], dt)
    return bank, jax.jit(lambda: Env().reset(bank, 0, jax.random.key(0)))()


@pytest.fixture(scope="module")
def road():
    return opened(scenes.straight_road(lanes=2, length=400.0))


@pytest.mark.parametrize("observer", [SMALL, PAPER], ids=["small", "paper"])
def test_declared_widths_and_counts_are_true(road, observer):
    bank, state = road
    seen = jax.jit(lambda s: observer(bank, s, 0))(state)
    assert seen.ego.shape == (observer.widths.ego,)
    assert seen.agents.features.shape == (observer.widths.agents, observer.agents)
    assert seen.road.features.shape == (observer.widths.road, observer.road)
    assert seen.route.features.shape == (observer.widths.route, observer.route.lanes * observer.route.points)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(seen))
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(seen)) <= 5.0


def test_paper_sizes():
    view = PAPER.route
    assert (PAPER.agents, PAPER.road, view.lanes, view.points) == (64, 128, 8, 64)
    assert (2 * view.stations[0], 2 * view.stations[-1]) == (-20, 106)
    assert (SMALL.agents, SMALL.road, SMALL.route.lanes, SMALL.route.points) == (12, 16, 8, 11)


def test_remaining_falls_to_nothing_at_the_end_of_the_recording(road):
    bank, state = road
    last = bank.episodes.last[0]
    assert float(SMALL(bank, replace(state, time=last), 0).remaining) == 0.0
    assert float(SMALL(bank, replace(state, time=last - 15), 0).remaining) == pytest.approx(0.1)


def test_borders_of_a_straight_route(road):
    bank, state = road
    tokens = observe_route(bank, state, 0, RouteView())
    points = np.array(tokens.features).T[np.asarray(tokens.mask)]
    assert points.shape[1] == POINT_FEATURES
    own = points[points[:, 7] == 1.0]  # the reference lane
    assert len(own) >= 60
    np.testing.assert_allclose(metres(own[:, 1]), 1.75, atol=1e-3)
    np.testing.assert_allclose(metres(own[:, 3]), -1.75 - 0.5, atol=1e-3)  # the corridor beyond a painted border
    np.testing.assert_allclose(own[:, 4:6], [[1.0, 0.0]] * len(own), atol=1e-5)
    np.testing.assert_allclose(own[:, 6], 1.5, atol=1e-5)  # 15 m/s
    x = metres(own[:, 0])
    np.testing.assert_allclose(np.diff(x), 2.0, atol=0.1)
    assert -21.5 < x[0] < -18.5
    other = points[points[:, 7] == 0.0]
    np.testing.assert_allclose(metres(other[:, 1]), 5.25 + 0.5, atol=1e-2)
    assert (own[:, 9] == 1.0).all() and (own[:-1, 8] == 0.0).all()  # open on the right, a lane on the left


@pytest.mark.parametrize("stations", [SPARSE, EVERY[::3], (5,), (-3, 4, 5), (3, 7, 20), (-9, -5, -2)], ids=str)
def test_chosen_stations_are_those_of_the_whole_window(road, stations):
    """All but the place along the window, which is counted in the view's own."""
    bank, state = road
    every, view = observe_route(bank, state, 0, RouteView()), RouteView(stations=stations)
    seen = observe_route(bank, state, 0, view)
    columns = [EVERY.index(station) for station in stations]
    whole, chosen = (np.asarray(t.features).reshape(POINT_FEATURES, -1, view.lanes) for t in (every, seen))
    np.testing.assert_allclose(chosen[:-1], whole[:-1, columns], atol=1e-6)
    np.testing.assert_array_equal(
        np.asarray(seen.mask).reshape(-1, view.lanes), np.asarray(every.mask).reshape(-1, view.lanes)[columns]
    )
    place = (np.array(stations) - stations[0]) / max(stations[-1] - stations[0], 1)
    np.testing.assert_allclose(chosen[-1], chosen[10] * place[:, None], atol=1e-6)


def test_a_view_must_hold_the_lanes_and_ascend(road):
    bank, state = road
    for stations in ((), (0, 0), (4, 0)):
        with pytest.raises(ValueError, match="RouteView"):
            RouteView(stations=stations)
    with pytest.raises(ValueError, match="lanes"):
        observe_route(bank, state, 0, RouteView(lanes=1))


def test_an_observer_must_say_what_it_sees():
    with pytest.raises(TypeError, match="abstract"):
        Observer()  # type: ignore[abstract]


def test_road_is_the_nearest_of_the_block(road):
    bank, state = road
    tokens = observe_road(bank, state, 0, 12)
    position = np.asarray(state.agents.position[state.controlled[0]], float)
    segments, kind = (np.asarray(x) for x in road_block(bank, 0, state.agents.position[state.controlled[0]]))
    a, b = segments[:, :2].astype(float), segments[:, 2:].astype(float)
    share = np.clip(((position - a) * (b - a)).sum(1) / np.maximum(((b - a) ** 2).sum(1), 1e-9), 0.0, 1.0)
    distance = np.hypot(*(a + share[:, None] * (b - a) - position).T)[kind > 0]
    assert bool(tokens.mask.all())
    np.testing.assert_allclose(np.sort(metres(np.asarray(tokens.features)[7])), np.sort(distance)[:12], atol=1e-3)
    np.testing.assert_array_equal(np.asarray(tokens.features)[8:].sum(0), 1.0)


def test_gradients_are_finite(road):
    bank, state = road
    own = int(state.controlled[0])

    def total(position, heading):
        agents = replace(
            state.agents,
            position=state.agents.position.at[own].set(position),
            heading=state.agents.heading.at[own].set(heading),
        )
        seen = SMALL(bank, replace(state, agents=agents), 0)
        return sum(leaf.sum() for leaf in (seen.ego, seen.agents.features, seen.road.features, seen.route.features))

    # On a border, where distances to segments vanish.
    position = jnp.array([state.agents.position[own][0], 0.0])
    for slope in jax.jit(jax.grad(total, argnums=(0, 1)))(position, state.agents.heading[own]):
        assert np.isfinite(slope).all() and np.abs(slope).sum() > 0.0


def test_offset_and_heading_relative_to_the_lane(road):
    bank, state = road
    own = int(state.controlled[0])
    angle = 0.1
    agents = replace(
        state.agents,
        position=state.agents.position.at[own].add(jnp.array([0.0, 0.5])),
        heading=state.agents.heading.at[own].set(jnp.array([np.cos(angle), np.sin(angle)])),
    )
    ego = np.asarray(see_ego(bank, replace(state, agents=agents)))
    assert metres(ego[9]) == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(ego[10:12], [np.cos(angle), np.sin(angle)], atol=1e-4)
    assert ego[0] == pytest.approx(1.0, abs=1e-3)  # 10 m/s
    assert ego[6:9] == pytest.approx([1.5, 1.0, 0.0], abs=1e-3)  # limit 15 m/s, known, kept


@pytest.mark.parametrize("recorded", [True, False])
def test_the_next_light_is_seen_whether_judged_or_not(recorded):
    bank, state = opened(scenes.crossing(recorded=recorded))
    ego = np.asarray(see_ego(bank, state))
    assert ego[12:15].tolist() == [0.0, 0.0, 0.0]  # no stop sign
    assert ego[15] == 1.0 and ego[17] == float(recorded)
    assert metres(ego[16]) == pytest.approx(60.0 - 2.25, abs=0.05)  # from the front bumper
    assert ego[18:].tolist() == np.eye(6)[LightState.RED].tolist()


def test_a_stop_is_owed_until_the_agent_has_stopped_and_unseen_behind():
    bank, state = opened(scenes.crossing(control=ControlKind.STOP_SIGN))
    ego = np.asarray(see_ego(bank, state))
    assert ego[12] == ego[14] == 1.0 and metres(ego[13]) == pytest.approx(57.75, abs=0.05)
    stopped = replace(state, stopped=jnp.ones_like(state.stopped))
    assert np.asarray(see_ego(bank, stopped))[12:15:2].tolist() == [1.0, 0.0]
    own = int(state.controlled[0])
    past = replace(state.agents, position=state.agents.position.at[own].set(jnp.array([5.0, 0.0])))
    assert not np.asarray(see_ego(bank, replace(state, agents=past)))[12:15].any()
