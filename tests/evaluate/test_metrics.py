"""A drive made by hand: every figure is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.evaluate.metrics import outcome
from drivetrain.rollout import Trajectory
from drivetrain.types import Agents, Events

STEPS = 8


def drive_beside_the_log(bank, row, aside=(3.0, 4.0), **changed):
    """The log's own poses, shifted by `aside`, with events that are all calm but for what is `changed`."""
    first, track = int(bank.episodes.first[row]), int(bank.episodes.track[row, 0])
    log = bank.episodes.log[row]
    window = slice(first, first + STEPS + 1)
    names = ("position", "heading", "velocity", "valid")
    recorded = {name: np.array(getattr(bank.logs.agents, name))[log, window] for name in names}
    position = recorded.pop("position")
    position[:, track] += aside
    facts = dict.fromkeys(("collision", "off_route", "off_road", "stop_line", "red_light"), 50.0)
    facts |= dict.fromkeys(("progress", "overspeed", "acceleration", "lateral", "goal"), 0.0)
    events = {name: np.full((STEPS, 1), value, np.float32) for name, value in facts.items()}
    for name, values in changed.items():
        if name in events:
            events[name][:, 0] = values
    mask = np.ones((STEPS, 1), bool)
    mask[changed.get("ends", STEPS) :] = False
    return Trajectory(
        agents=Agents(position=position, **recorded),
        lights=np.zeros((STEPS + 1, bank.logs.lights.shape[-1]), np.int32),
        arc_length=np.zeros((STEPS + 1, 1), np.float32),
        speed=np.zeros((STEPS + 1, 1), np.float32),
        controlled=jnp.array([track]),
        time=jnp.arange(first, first + STEPS + 1),
        events=jax.vmap(jax.vmap(lambda facts: Events(**facts)))(events),
        mask=mask,
    )


def test_calm_drive(bank, rows):
    row = rows["straight"][0]
    figures = outcome(bank, row, drive_beside_the_log(bank, row, progress=1.5))
    assert figures.exists.tolist() == [True]
    assert {name for name, fact in figures.happened.items() if fact[0]} == {"off_road_unknown"}  # +50 m: unknown
    assert figures.progress[0] == pytest.approx(12.0)
    assert figures.ade[0] == pytest.approx(5.0, rel=1e-5)
    assert figures.comfort[0] == 1.0
    assert figures.log_distance[0] == pytest.approx(8.0 * 0.2 * 29, rel=1e-3)


@pytest.mark.parametrize(
    ("fact", "fails"),
    [("collision", True), ("off_route", True), ("off_road", False), ("stop_line", False), ("red_light", False)],
)
def test_one_step_below_zero_happened(bank, rows, fact, fails):
    margin = np.full(STEPS, 2.0)
    margin[3] = -0.001
    row = rows["straight"][0]
    figures = outcome(bank, row, drive_beside_the_log(bank, row, **{fact: margin}))
    assert bool(figures.happened[fact][0])
    assert bool(figures.failure[0]) is fails


def test_steps_beyond_the_end_do_not_count(bank, rows):
    margin = np.full(STEPS, 2.0)
    margin[5:] = -1.0
    row = rows["straight"][0]
    figures = outcome(bank, row, drive_beside_the_log(bank, row, collision=margin, progress=1.0, ends=5))
    assert not figures.failure[0]
    assert figures.progress[0] == pytest.approx(5.0)


def test_padding_does_not_exist(bank, rows):
    row = rows["straight"][0]
    figures = outcome(bank, row, drive_beside_the_log(bank, row, ends=0))
    assert not figures.exists[0]
    assert (float(figures.log_distance[0]), float(figures.ade[0]), float(figures.comfort[0])) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("acceleration", "lateral", "share"),
    [
        ([0.0] * STEPS, [5.0, -5.0] + [0.0] * 6, 0.75),  # beyond 4.89 m/s² to either side
        ([2.3] * STEPS, [0.0] * STEPS, 1.0),
        ([2.5] * STEPS, [0.0] * STEPS, 0.0),  # beyond 2.40 m/s²
        ([-4.2] + [-4.0] * 7, [0.0] * STEPS, 0.875),  # beyond -4.05 m/s²
        ([0.0] * 4 + [1.0] * 4, [0.0] * STEPS, 0.875),  # 1 m/s² in 0.2 s: a jerk of 5 m/s³
    ],
)
def test_comfort_is_the_share_of_steps_within_bounds(bank, rows, acceleration, lateral, share):
    row = rows["straight"][0]
    drive = drive_beside_the_log(bank, row, acceleration=acceleration, lateral=lateral)
    assert outcome(bank, row, drive).comfort[0] == pytest.approx(share)
