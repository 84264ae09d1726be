"""Every part of a case runs and adds up, on small scenes of stated size. Speeds themselves are no tests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bench.conftest import FACTS, facts_in

from drivetrain.bench.cases import CROWDS, EVERYONE, GRID, HUGE, RECORDED, SINGLE
from drivetrain.bench.measuring import copy_rate, median_seconds, peak_megabytes
from drivetrain.bench.simulation import PARTS, Case, measure, program, table
from drivetrain.bench.synthetic import Grid, grid_recording, grid_scenario, grid_scenarios
from drivetrain.env import Env
from drivetrain.observe.camera import CameraSight
from drivetrain.observe.sight import Sight
from drivetrain.observe.surroundings import Surroundings
from drivetrain.sim.building import make_bank
from drivetrain.sim.roads import Indexing
from drivetrain.types import AgentKind, ControlKind, replace

SMALL = Grid(agents=6, steps=30, roads=2, lanes=1, spacing=80.0, signals=3)


@pytest.fixture(scope="module")
def scenario():
    return grid_scenario(SMALL)


@pytest.fixture(scope="module")
def bank(scenario):
    return jax.device_put(make_bank([scenario], SMALL.dt, controlled=6, indexing=Indexing(radius=20.0)))


def test_a_grid_is_of_the_size_that_it_states(scenario):
    drawn = grid_recording(SMALL)
    assert len(drawn.lanes) == 2 * 2 * 2  # two roads each way, a lane in each direction
    assert drawn.tracks.valid.shape == (6, 30) and drawn.tracks.valid.all()
    assert (drawn.tracks.kind == AgentKind.CAR).all()
    assert int((scenario.map.line_kind == ControlKind.LIGHT).sum()) == 3
    moved = np.linalg.norm(drawn.tracks.position[:, -1] - drawn.tracks.position[:, 0], axis=1)
    speed = np.linalg.norm(drawn.tracks.velocity[:, 0], axis=1)
    np.testing.assert_allclose(moved, speed * 29 * SMALL.dt, rtol=1e-6)
    assert int((scenario.egos.track >= 0).sum()) == 6  # every car can be controlled


def test_scenes_of_different_seeds_stand_in_one_bank():
    several = grid_scenarios([SMALL, replace(SMALL, seed=1)])
    assert len(make_bank(several, SMALL.dt, controlled=6, indexing=Indexing(radius=20.0)).episodes.map) == 2
    assert not np.array_equal(several[0].log.agents.position, several[1].log.agents.position)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("observer", [Sight(agents=3, road=4), Surroundings()], ids=["nearest", "around"])
def test_a_part_counts_its_steps(part, observer, bank):
    if part == "step" and isinstance(observer, Surroundings):
        pytest.skip("a step sees nothing")
    case = Case("small", 2, 6, part, Env(observer=observer), steps=4, fresh=2)
    row = measure(case, bank, "a grid", 1e9, 0.0)
    assert row.agent_steps == pytest.approx(6 * row.scene_steps)
    assert row.scene_steps == pytest.approx(2 / (row.milliseconds / 1e3))
    assert row.floor == pytest.approx(row.megabytes) and row.megabytes > 0.0  # at 1e9 bytes a second
    assert row.compile_seconds > 0.0 and row.temporary_share >= 0.0
    assert f"A 6 · T 30 · road in blocks of {bank.roads.block.shape[-1]}" in row.tensors
    assert ("floats seen" in row.tensors) == (part in ("observation", "consumed"))
    assert len(table([row]).splitlines()) == 2


NEAREST, AROUND = Env(observer=Sight(agents=3, road=4)), Env(observer=Surroundings())
CAMERA = Env(observer=CameraSight(vehicles=3))
KINDS = [("events", NEAREST), ("observation", NEAREST), ("observation", AROUND), ("consumed", AROUND)]
KINDS += [("observation", CAMERA)]


@pytest.mark.parametrize(("part", "env"), KINDS, ids=["events", "nearest", "around", "consumed", "camera"])
def test_all_events_are_in_the_program(part, env, bank, named):
    case = Case("small", 2, 6, part, env, steps=4, fresh=2)
    assert facts_in(program(case).lower(bank, np.arange(2)).compile()) == FACTS


def test_what_nobody_reads_is_in_no_program(bank, named):
    def drive(bank, episode):
        def step(state, _):
            state, events = NEAREST.step(bank, state, jnp.zeros((6, 2)))
            return state, NEAREST.rewards(bank, events, state.traits)

        return jax.lax.scan(step, NEAREST.reset(bank, episode, jax.random.key(0)), None, length=4)[1]

    compiled = jax.jit(jax.vmap(drive, (None, 0))).lower(bank, np.arange(2)).compile()
    assert facts_in(compiled) == FACTS - {"off_road"}


def test_a_case_has_all_events_or_says_so():
    looked_at = {(part, type(env.observer)) for part, env in KINDS}
    for case in (*SINGLE, *EVERYONE, *CROWDS, *HUGE, *RECORDED):
        assert case.judges == (case.part != "step" and "no events" not in case.name)
        assert not case.judges or (case.part, type(case.env.observer)) in looked_at


@pytest.mark.parametrize("part", ["events", "observation"])
def test_a_case_lowers_for_a_gpu(part, bank):
    case = Case("small", 2, 6, part, Env(observer=Sight(agents=3, road=4)), steps=3)
    lowered = program(case).trace(bank, np.arange(2)).lower(lowering_platforms=("cuda",))
    assert "func.func public @main" in lowered.as_text()


def test_the_cases_are_those_of_full_size():
    assert (GRID.agents, GRID.steps, GRID.signals) == (128, 151, 64)
    assert {case.controlled for case in SINGLE} == {1}
    assert {case.controlled for case in EVERYONE} == {128}
    assert {(case.scenes, case.controlled) for case in CROWDS} == {(32, 32)}


def test_what_is_seen_costs_at_least_its_bytes(bank):
    nearest, around = Env(observer=Sight(agents=3, road=4)), Env(observer=Surroundings())

    def least(part, env=nearest, **more):
        return measure(Case("small", 1, 6, part, env, steps=1, **more), bank, "a grid", 1e9, 0.0).megabytes

    seen = least("observation") - least("consumed")
    assert seen > 1e-6 * 6 * 4 * (12 * 8 * 11)  # the route alone: features of points of lanes
    assert least("step") < least("consumed", around, events=False) < least("consumed")
    assert copy_rate(4, 8) > 1e6


def test_the_median_is_of_calls_and_memory_is_held():
    calls = []
    assert median_seconds(lambda: calls.append(1), 0.0) >= 0.0
    assert len(calls) == 2  # one to warm up
    assert peak_megabytes() > 1.0
