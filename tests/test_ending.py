import jax
import jax.numpy as jnp
import pytest
import scenes

from drivetrain.ending import EVALUATION, TRAINING, Ending, Failures, retire
from drivetrain.sim import simulator
from drivetrain.sim.building import make_bank
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
        calm = dict.fromkeys(("progress", "overspeed", "acceleration", "lateral"), 0.0)
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
