import jax
import jax.numpy as jnp
import pytest
import scenes

from drivetrain.ending import EVALUATION, TRAINING, Ending, Failures, Lives, retire
from drivetrain.sim import simulator
from drivetrain.sim.building import Layout, host_bank, make_bank
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.types import Events, replace

FAILURES = ("collision", "off_route", "red_light", "stop_line")


@pytest.fixture(scope="module")
def bank():
    return make_bank([scenes.scenario(scenes.straight_road())], 0.2, controlled=2)


@pytest.fixture(scope="module")
def state(bank):
    return jax.jit(lambda bank: simulator.reset(bank, Bicycle(), 0, jax.random.key(0)))(bank)


def events(**first):
    """Nothing happens to either agent but what is said of the first."""

    def of_agent(row):
        safe = dict.fromkeys(("collision", "off_route", "off_road", "stop_line", "red_light"), 50.0)
        calm = dict.fromkeys(("progress", "overspeed", "acceleration", "lateral", "goal"), 0.0)
        facts = safe | calm | (first if row == 0 else {})
        return Events(**{name: jnp.float32(value) for name, value in facts.items()})

    return jax.tree.map(lambda *rows: jnp.stack(rows), of_agent(0), of_agent(1))


@pytest.mark.parametrize("failure", FAILURES)
def test_every_failure_ends_training_and_none_ends_evaluation(bank, state, failure):
    what = events(**{failure: -0.1})
    terminated, truncated = TRAINING(bank, state, what)
    assert terminated.tolist() == [True, False]
    assert truncated.tolist() == [False, False]
    assert EVALUATION(bank, state, what)[0].tolist() == [False, False]


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_has_its_switch(bank, state, failure):
    others = Failures(**{failure: False})
    assert others(bank, state, events(**{failure: -0.1}))[0].tolist() == [False, False]
    rest = {name: -0.1 for name in FAILURES if name != failure}
    assert others(bank, state, events(**rest))[0].tolist() == [True, False]


def test_off_road_and_touching_end_nothing(bank, state):
    assert TRAINING(bank, state, events(off_road=-5.0, collision=0.0))[0].tolist() == [False, False]


@pytest.mark.parametrize("ending", [TRAINING, EVALUATION])
def test_the_end_of_the_recording_terminates(bank, state, ending):
    last = int(bank.episodes.last[0])
    before, at = replace(state, time=jnp.int32(last - 1)), replace(state, time=jnp.int32(last))
    assert ending(bank, before, events())[0].tolist() == [False, False]
    terminated, truncated = ending(bank, at, events())
    assert terminated.tolist() == [True, True]
    assert truncated.tolist() == [False, False]


def test_an_ending_must_say_when_and_may_truncate_unless_it_says_otherwise():
    with pytest.raises(TypeError, match="abstract"):
        Ending()  # type: ignore[abstract]
    assert Ending.truncates and not Failures.truncates


def test_who_has_ended_does_not_end_again(bank, state):
    gone = retire(state, jnp.array([True, False]))
    assert TRAINING(bank, gone, events(collision=-1.0))[0].tolist() == [False, False]


def test_retire_takes_the_body_out_of_the_scene(state):
    gone = retire(state, jnp.array([True, False]))
    column, other = (int(c) for c in state.controlled)
    assert gone.alive.tolist() == [False, True]
    assert not bool(gone.agents.valid[column])
    assert bool(gone.agents.valid[other])


def test_retiring_padding_touches_nobody(state):
    padded = replace(state, controlled=state.controlled.at[0].set(-1))
    assert retire(padded, jnp.array([True, False])).agents.valid.tolist() == state.agents.valid.tolist()


@pytest.fixture(scope="module")
def errands():
    """Two agents on errands, and the bank with their goals, 30 m apart."""
    layout = Layout(controlled=2, goals=30.0)
    bank = jax.tree.map(jnp.asarray, host_bank([scenes.scenario(scenes.straight_road())], 0.2, layout))
    return bank, jax.jit(lambda bank: simulator.reset(bank, Bicycle(), 0, jax.random.key(0)))(bank)


@pytest.mark.parametrize(
    ("what", "errand", "ends"),
    [
        ({}, {}, False),
        ({"collision": -0.1}, {}, True),
        ({"off_road": -0.1}, {}, True),
        ({}, {"since": 50}, True),  # 10 s at 0.2 s
        ({}, {"since": 49}, False),
        ({}, {"goal": 40}, True),  # beyond its last: it has arrived
    ],
)
def test_a_life_ends_with_a_failure_off_the_road_late_or_at_its_last_goal(errands, what, errand, ends):
    bank, state = errands
    standing = {"goal": 2, "since": 0} | errand
    first = replace(
        state.errand, **{name: getattr(state.errand, name).at[0].set(value) for name, value in standing.items()}
    )
    terminated, truncated = Lives(patience=10.0)(bank, replace(state, errand=first), events(**what))
    assert terminated.tolist() == [ends, False] and not truncated.any()


def test_leaving_the_road_ends_no_life_where_it_is_not_asked(errands):
    bank, state = errands
    terminated, _ = Lives(off_road=False)(bank, state, events(off_road=-1.0))
    assert not terminated.any()
