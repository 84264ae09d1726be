"""Traffic along its own paths: against a loop in plain Python, and on hand-drawn roads."""

import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.readers import READERS
from drivetrain.data.recordings.resampling import resample
from drivetrain.geometry import box, box_clearance
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.roads import Indexing
from drivetrain.sim.simulator import reset, step
from drivetrain.sim.traffic.follow import CHORDS, DRIVING, Follow
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import AgentKind, InputError, LightState, replace

DT, MODEL, RULE = 0.2, Bicycle(), Follow()
BOLOGNA = Path(__file__).resolve().parents[3] / "datasets/bologna/recordings"


def bank_of(*given, **changes):
    return make_bank(list(given), DT, indexing=Indexing(width=8), paths=True, **changes)


def road(agents, steps=50):
    return bank_of(scenes.scenario(scenes.straight_road(agents=agents, length=400.0, steps=steps)))


def green(given):
    return replace(given, log=replace(given.log, lights=np.full_like(given.log.lights, LightState.GREEN)))


def episode_of(bank, x: float) -> int:
    """The episode from the first step on whose ego starts `x` metres ahead of the hindmost agent."""
    starts = bank.logs.agents.position[0, bank.episodes.first, bank.episodes.track[:, 0], 0]
    hindmost = jnp.min(jnp.where(bank.logs.agents.valid[0, 0], bank.logs.agents.position[0, 0, :, 0], jnp.inf))
    apart = jnp.where(bank.episodes.first == 0, jnp.abs(starts - hindmost - x), jnp.inf)
    return int(jnp.argmin(apart))


@partial(jax.jit, static_argnames="rule")
def drive(bank, state, actions, rule=RULE):
    def advance(state, action):
        return (state := step(bank, MODEL, rule, state, action)), state

    return jax.lax.scan(advance, state, actions)[1]


def begin(bank, episode=0):
    return reset(bank, MODEL, episode, jax.random.key(0), RULE)


def constant(action, steps):
    return jnp.tile(jnp.asarray([[action]], jnp.float32), (steps, 1, 1))


def clearances(states) -> np.ndarray:
    """Least clearance of any two valid agents at each moment."""

    def least(agents, bodies):
        boxes = box(agents.position, agents.heading, bodies.length, bodies.width)
        clearance = jax.vmap(box_clearance, (0, None))(boxes, boxes)
        apart = agents.valid[:, None] & agents.valid & ~jnp.eye(len(agents.valid), dtype=bool)
        return jnp.min(jnp.where(apart, clearance, 100.0))

    return np.asarray(jax.jit(jax.vmap(least))(states.agents, states.bodies))


# ------------------------------------------------------------------------------------------------------ plain Python


def dot(a, b):
    return a[0] * b[0] + a[1] * b[1]


def turn(a, b):
    return a[0] * b[1] - a[1] * b[0]


def spot(paths, agent, along):
    """x, y, pace at a distance along a path."""
    points, spacing = paths.points[0, agent], float(paths.spacing[0, agent])
    row = min(max(math.floor(along / spacing), 0), len(points) - 2)
    share = along / spacing - row
    return points[row, :2] + share * (points[row + 1, :2] - points[row, :2]), points[row, 4]


def pressing(state, i, j, nodes, speed, most):
    """The braking that agent j asks of agent i."""
    agents, bodies, worst, done = state.agents, state.bodies, 0.0, 0.0
    for k in range(4):
        chord = nodes[k + 1] - nodes[k]
        length = math.hypot(*chord)
        ahead = chord / max(length, 1e-3)
        offset, heading = agents.position[j] - nodes[k], agents.heading[j]
        cos, sin = abs(dot(ahead, heading)), abs(turn(ahead, heading))
        long, wide = 0.5 * float(bodies.length[j]), 0.5 * float(bodies.width[j])
        along, aside = dot(ahead, offset), abs(turn(ahead, offset))
        beside = aside - long * sin - wide * cos - 0.5 * float(bodies.width[i]) >= RULE.side
        if not beside and (0.0 if k == 0 else -1.0) < along < length:
            gap = max(done + along - long * cos - wide * sin - 0.5 * float(bodies.length[i]), 0.1)
            closing = speed - max(dot(ahead, agents.velocity[j]), 0.0)
            keep = speed * RULE.headway + speed * closing / (2 * math.sqrt(most * RULE.braking))
            worst = max(worst, most * ((RULE.standstill + max(keep, 0.0)) / gap) ** 2)
        done += length
    return worst


def expected(bank, state):
    """Distance along the path and speed of every agent that is driving, one step on."""
    state, paths = jax.tree.map(np.asarray, (state, bank.paths))
    result = {}
    for i in np.flatnonzero(paths.follows[0] & (state.traffic.phase == DRIVING)):
        along, speed = float(state.traffic.arc[i]), float(state.traffic.speed[i])
        most = 1.5 if state.bodies.kind[i] != AgentKind.BICYCLE else 1.0
        far = RULE.least_view + RULE.view * speed
        nodes = [spot(paths, i, along + share * far)[0] for share in CHORDS]
        pace = spot(paths, i, along)[1]
        free = most * (1 - (speed / pace) ** 4) if speed <= pace else -RULE.braking * (1 - (pace / speed) ** 2)
        others = [j for j in range(len(state.agents.valid)) if j != i and state.agents.valid[j]]
        change = free - max([pressing(state, i, j, nodes, speed, most) for j in others], default=0.0)
        change = min(max(change, -RULE.hardest), most)
        after = max(speed + change * DT, 0.0)
        way = 0.5 * (speed + after) * DT if speed + change * DT >= 0 else speed**2 / (-2 * change)
        result[int(i)] = (along + way, after)
    return result


def test_a_step_is_what_a_loop_over_pairs_says(scenario):
    for bend in (0.0, 0.02):
        bank = bank_of(green(scenario(bend, (12.0, 10.0, 7.0, 8.0, 13.0, 6.0))))
        states = drive(bank, begin(bank), constant([-2.0, 0.05], 30))
        compared = 0
        for time in (0, 5, 12, 20, 28):
            before, after = (jax.tree.map(lambda leaf, t=t: leaf[t], states) for t in (time, time + 1))
            for i, (along, speed) in expected(bank, before).items():
                np.testing.assert_allclose(after.traffic.arc[i], along, rtol=1e-4, atol=1e-3)
                np.testing.assert_allclose(after.traffic.speed[i], speed, rtol=1e-3, atol=1e-3)
                compared += 1
        assert compared >= 25


def test_in_a_real_crowd_too_nobody_in_the_way_is_missed():
    """Junctions, bends and queues: the few that are tried on the chords hold the one that matters."""
    recording = resample(READERS["recording"].read(str(BOLOGNA / "acosta_27_1_366.recording.xz")), DT)
    bank = bank_of(green(compile_recording(recording)[0]))
    states = drive(bank, begin(bank), constant([-1.0, 0.0], 30))
    compared = 0
    for time in (2, 9, 16, 23, 28):
        before, after = (jax.tree.map(lambda leaf, t=t: leaf[t], states) for t in (time, time + 1))
        for i, (along, speed) in expected(bank, before).items():
            if int(after.traffic.phase[i]) == DRIVING:
                np.testing.assert_allclose(after.traffic.arc[i], along, rtol=1e-4, atol=2e-3)
                np.testing.assert_allclose(after.traffic.speed[i], speed, rtol=1e-3, atol=5e-3)
                compared += 1
    assert compared >= 60


# ------------------------------------------------------------------------------------------------------------ scenes


def test_who_is_alone_drives_as_recorded(scenario):
    bank = bank_of(green(scenario(0.01, (8.0, 10.0, 12.0))))
    state = begin(bank)
    actual = reset(bank, MODEL, 0, jax.random.key(0))
    for leaf in ("position", "heading", "velocity", "valid"):
        np.testing.assert_array_equal(getattr(state.agents, leaf), getattr(actual.agents, leaf))
    states = drive(bank, state, constant([0.0, 0.0], 30))
    for car in (0, 2):
        np.testing.assert_allclose(states.agents.position[:, car], bank.logs.agents.position[0, 1:31, car], atol=0.05)
        np.testing.assert_allclose(states.agents.velocity[:, car], bank.logs.agents.velocity[0, 1:31, car], atol=0.2)
    assert not states.agents.valid[:, 3].any()  # padding


def test_a_queue_stops_behind_an_ego_that_brakes_and_goes_on_when_it_does():
    cars = [scenes.along_x(1.75, 10.0 + 20.0 * i, length=4.5 + (i == 2) * 5.0) for i in range(6)]
    bank = road(cars, steps=140)
    episode = episode_of(bank, 100.0)
    actions = jnp.concatenate([constant([-3.5, 0.0], 80), constant([1.5, 0.0], 50)])
    states = drive(bank, begin(bank, episode), actions)
    assert clearances(states).min() > 1.0
    speed = np.asarray(states.traffic.speed)[:, np.asarray(bank.paths.follows[0])]
    assert np.sort(speed[79])[:-1].max() < 0.8  # all but the ego's own record, which counts for nothing
    assert speed[-1].min() > 2.0  # the last has waited longest
    replayed = drive(bank, reset(bank, MODEL, episode, jax.random.key(0)), actions, Replay())
    assert clearances(replayed).min() < 0.0


def test_walkers_and_parked_cars_do_as_recorded():
    walker = scenes.along_x(12.0, 25.0, speed=1.5, kind=AgentKind.PEDESTRIAN, length=0.6, width=0.6)
    parked = scenes.along_x(9.0, 60.0, speed=0.0)
    bank = road([scenes.along_x(1.75, 20.0), walker, parked, scenes.along_x(5.25, 30.0)])
    states = drive(bank, begin(bank, episode_of(bank, 0.0)), constant([0.0, 0.0], 20))
    log = bank.logs.agents
    still = np.asarray(log.valid[0, 0] & ~bank.paths.follows[0])
    assert still.sum() == 2
    np.testing.assert_array_equal(states.agents.position[:, still], log.position[0, 1:21][:, still])


def test_late_agents_enter_when_there_is_room_and_leave_at_the_end_of_their_paths():
    late = scenes.along_x(1.75, 0.0, speed=10.0, first=10, last=30)  # first seen at x = 20
    bank = road([scenes.along_x(1.75, 20.0, speed=5.0), late, scenes.along_x(5.25, 0.0, speed=5.0)], steps=50)
    ego = episode_of(bank, 20.0)
    mine = int(bank.episodes.track[ego, 0])
    valid = np.asarray(bank.logs.agents.valid[0])
    track = int(np.flatnonzero(~valid[0] & valid[20])[0])
    # The ego goes on, and is ahead when the other appears where it started.
    quick = drive(bank, begin(bank, ego), constant([3.0, 0.0], 45))
    valid = np.asarray(quick.agents.valid[:, track])
    assert not valid[:9].any() and valid[9:20].all()
    assert clearances(quick).min() > 0.0
    assert not valid[-1]  # it has driven the 40 m that were recorded of it
    gone = int(np.flatnonzero(valid)[-1])
    way = quick.agents.position[gone, track, 0] - bank.logs.agents.position[0, 10, track, 0]
    assert 36.0 < float(way) <= 40.1
    # The ego stops on the place: the other never appears.
    state = begin(bank, ego)
    stopped = drive(bank, state, constant([-4.0, 0.0], 45))
    assert abs(float(stopped.agents.position[-1, mine, 0] - bank.logs.agents.position[0, 10, track, 0])) < 4.0
    assert not stopped.agents.valid[:, track].any()


def test_a_red_light_that_is_judged_stops_it_before_the_line(scenario):
    given = scenario(0.0, (8.0, 15.0, 12.0, 9.0))
    nose = []
    for lights in (given, green(given)):
        bank = bank_of(lights)
        states = drive(bank, begin(bank, 1), constant([0.0, 0.0], 34))  # the ego is car 0, in another lane
        nose.append(float(states.agents.position[-1, 1, 0]) + 2.25)
        speed = float(states.traffic.speed[-1, 1])
        assert (speed < 8.0) == (lights is given)
    assert 112.0 < nose[0] < 120.0 < nose[1]


def test_a_batch_is_its_rows_and_a_scan_a_loop(scenario):
    bank = bank_of(green(scenario(0.02, (12.0, 10.0, 7.0, 8.0))))
    actions = constant([-2.0, 0.1], 8)
    one = jax.jit(lambda state, action: step(bank, MODEL, RULE, state, action))
    many = jax.jit(jax.vmap(one, (0, None)))
    batch = jax.vmap(lambda episode: begin(bank, episode))(jnp.arange(3))
    looped = [begin(bank, episode) for episode in range(3)]
    scanned = drive(bank, looped[1], actions)
    for action in actions:
        batch, looped = many(batch, action), [one(state, action) for state in looped]
    last = jax.tree.map(lambda leaf: leaf[-1], scanned)
    for left, right, *rows in zip(*map(jax.tree.leaves, (batch, last, *looped)), strict=True):
        np.testing.assert_allclose(left, np.stack(rows), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(right, rows[1], rtol=1e-5, atol=1e-5)


def test_slopes_are_finite_moving_standing_touching_and_overlapping():
    @jax.jit
    def slopes(bank, state, actions):
        def reach(actions, speed):
            begun = replace(state, traffic=replace(state.traffic, speed=speed))
            states = drive(bank, begun, actions)
            return jnp.sum(states.agents.position) + jnp.sum(states.agents.velocity)

        return jax.grad(reach, argnums=(0, 1))(actions, state.traffic.speed)

    for gap in (4.5, 0.0, 15.0):  # bumper to bumper, one in the other, apart
        aside = 1.1 if gap == 4.5 else 0.0  # straight behind the other it would be its trailer
        bank = road([scenes.along_x(1.2, 10.0), scenes.along_x(1.2 + aside, 10.0 + gap)])
        state = begin(bank, 0)
        for speed in (0.0, 10.0):
            still = jnp.full_like(state.traffic.speed, speed)
            found = slopes(bank, replace(state, traffic=replace(state.traffic, speed=still)), constant([0.0, 0.0], 4))
            assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in found)
            assert any(bool(jnp.any(leaf != 0.0)) for leaf in found)


def test_it_needs_paths(straight):
    with pytest.raises(InputError, match="paths=True"):
        begin(straight)
