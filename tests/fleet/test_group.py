"""A group learns what the fused program learns; its actors' ends are its own."""

import threading
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures_runs import EPISODES, assert_same

from drivetrain.fleet import group as group_module
from drivetrain.fleet.group import Fleet, Group
from drivetrain.fleet.local import update
from drivetrain.learn.apg import Apg
from drivetrain.learn.bc import Bc
from drivetrain.learn.league import League
from drivetrain.learn.loop import Loop
from drivetrain.learn.ppo import Ppo
from drivetrain.types import InputError, replace


@pytest.fixture
def learnt(run, bank, begun):
    """What so many updates of a group give: the last state and figures, and every window that was taken."""

    def learnt(fleet, stage, updates, train=None):
        train, taken = begun(stage) if train is None else train, []
        with closing(Group(fleet)) as group:
            take = group.table.take
            group.table.take = lambda version: taken.append((version, take(version))) or taken[-1][1]
            for _ in range(updates):
                train, gathered, figures = group.update(run.env, stage, bank, EPISODES, train)
            said = group.figures()
        assert no_actor_is_left()
        return train, (gathered, figures), taken, said

    return learnt


def no_actor_is_left():
    return not [thread for thread in threading.enumerate() if thread.name.startswith("actor-")]


@pytest.mark.parametrize("actors", [1, 2])
@pytest.mark.parametrize("number", [0, 1], ids=["bc", "ppo"])
def test_in_step_a_group_learns_what_the_fused_program_learns(run, bank, begun, learnt, number, actors):
    """The whole training state: policy, mean, optimiser, key, and where the scenes stand."""
    stage = replace(run.stages[number], averaging=0.9)
    train = begun(stage)
    for _ in range(3):
        train, *figures = update(run.env, stage, bank, EPISODES, train)
    apart, said, taken, stale = learnt(Fleet(actors=actors, synchronous=True), stage, 3)
    assert_same(train, apart)
    assert_same(tuple(figures), said)
    assert (stale["staleness_mean"], stale["staleness_p95"]) == (0.0, 0.0)
    assert [(version, window.version) for version, window in taken] == [(n, n) for n in range(3) for _ in range(actors)]


def test_every_policy_is_as_old_as_is_asked_for(run, learnt):
    stage = run.stages[1]
    train, _, taken, said = learnt(Fleet(actors=1, synchronous=True, delay=2), stage, 5)
    assert [window.version for _, window in taken] == [0, 0, 0, 1, 2]
    assert (said["staleness_mean"], said["staleness_p95"]) == ((0 + 1 + 2 + 2 + 2) / 5, 2.0)
    segments = [window.data[1][0] for _, window in taken]
    assert [np.unique(segment.version).tolist() for segment in segments] == [[0], [0], [0], [1], [2]]
    again, *_ = learnt(Fleet(actors=1, synchronous=True, delay=2), stage, 5)
    jax.tree.map(np.testing.assert_array_equal, train.policy, again.policy)


def test_actors_that_run_ahead_learn_everything_once_and_the_carry_is_of_what_was_learnt(run, learnt):
    stage, fleet = run.stages[1], Fleet(actors=2, capacity=1)
    train, (gathered, _), taken, said = learnt(fleet, stage, 5)
    ids = [tuple(row) for _, window in taken for row in window.ids.tolist()]
    assert len(set(ids)) == len(ids) == 5 * stage.scenes
    assert all(version >= window.version >= 0 for version, window in taken) and said["staleness_p95"] <= 5.0
    assert float(gathered.steps) == stage.scenes * stage.algorithm.steps()
    last = {window.actor: window.data[0] for _, window in taken}
    assert_same(
        train.carry, jax.tree.map(lambda *rows: jnp.concatenate(rows), *(last[actor] for actor in sorted(last)))
    )
    for actor in last:  # windows of an actor follow one another without a gap, but for new beginnings
        times = [window.data[1][0].steps.state.time for _, window in taken if window.actor == actor]
        fresh = [window.data[1][0].steps.fresh for _, window in taken if window.actor == actor]
        for before, after, new in zip(times, times[1:], fresh[1:], strict=False):
            assert np.all((after[:, 0] == before[:, -1] + 1) | np.asarray(new)[:, 0, 0])
    # What goes on from there drives on from there.
    group_end = jax.tree.map(np.asarray, train.carry.state.time)
    more, _, taken, _ = learnt(fleet, stage, 1, train)
    assert int(more.step) == 6 and {window.version for _, window in taken} == {5}
    first = np.concatenate([window.data[1][0].steps.state.time[:, 0] for _, window in sorted_by_actor(taken)])
    if len({window.actor for _, window in taken}) == 2:  # else one was twice as fast
        np.testing.assert_array_equal(first, group_end)


def sorted_by_actor(taken):
    return sorted(taken, key=lambda pair: pair[1].actor)


class Broken(Ppo):
    """Its actors find no road."""

    def gather(self, env, policy, bank, episodes, carry, version):
        raise ZeroDivisionError("no road to gather on")


def test_an_actors_error_is_the_groups_own(run, learnt):
    with pytest.raises(ZeroDivisionError, match="no road to gather on") as raised:
        learnt(Fleet(actors=2), replace(run.stages[1], algorithm=Broken(window=8)), 1)
    assert any(note.startswith("in actor ") for note in raised.value.__notes__)
    assert no_actor_is_left()


def test_an_actor_that_is_stuck_ends_the_run_with_one_line(run, learnt, monkeypatch):
    let_go = threading.Event()
    monkeypatch.setattr(group_module, "gather_window", lambda *arguments: let_go.wait(20.0))
    monkeypatch.setattr(group_module, "GRACE", 0.1)
    with pytest.raises(InputError, match=r"fleet\.patience: actor 0 is stuck: no window for 0\.2 s"):
        learnt(Fleet(actors=1, patience=0.2), run.stages[1], 1)
    let_go.set()


def test_an_interrupt_while_the_learner_waits_leaves_no_actor(run, bank, begun, monkeypatch):
    stage, train, group = run.stages[1], None, Group(Fleet(actors=2))
    train = begun(stage)

    def interrupted(version):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(group):
        train, *_ = group.update(run.env, stage, bank, EPISODES, train)
        monkeypatch.setattr(group.table, "take", interrupted)
        group.update(run.env, stage, bank, EPISODES, train)
    assert no_actor_is_left()
    assert np.isfinite(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(train.policy)])).all()


def test_what_cannot_learn_apart_is_refused_in_one_line(run):
    learning, fleet = run.stages[1], Fleet(actors=2)
    fleet.check(learning)
    for algorithm in (Loop(), Apg()):
        with pytest.raises(InputError, match=r"fleet: \w+ learns from its present policy alone"):
            fleet.check(replace(learning, algorithm=algorithm))
        Fleet(actors=2, synchronous=True).check(replace(learning, algorithm=algorithm))
        with pytest.raises(InputError, match="present policy"):
            Fleet(actors=2, synchronous=True, delay=1).check(replace(learning, algorithm=algorithm))
    with pytest.raises(InputError, match=r"fleet\.actors: 2 with a league"):
        fleet.check(replace(learning, league=League(size=2)))
    with pytest.raises(InputError, match=r"fleet\.actors: 3 for 4 scenes \(choose a divisor\)"):
        Fleet(actors=3).check(learning)
    for name in ("actors", "capacity", "delay", "devices"):
        with pytest.raises(InputError, match=rf"fleet\.{name}: -1"):
            Fleet(**{name: -1})
    with pytest.raises(InputError, match=r"fleet\.patience: 0"):
        Fleet(patience=0.0)
    with pytest.raises(InputError, match=r"fleet\.devices: 1 for no actor"):
        Fleet(devices=1)


def test_where_policies_may_be_older_the_learner_corrects(run):
    apart, in_step = Fleet(actors=1), Fleet(actors=1, synchronous=True)
    assert apart.rules(Ppo()) == replace(in_step, delay=1).rules(Ppo()) == Ppo(lagging=True)
    assert in_step.rules(Ppo()) == Fleet().rules(Ppo()) == Ppo()
    assert apart.rules(Bc()) == Bc()
