"""Actors that are away: what they hand in is learnt once, whoever dies; in step it is what the fused program learns."""

import threading
from contextlib import closing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures_runs import EPISODES, assert_same

from drivetrain.fleet.away import Ground, gather_away
from drivetrain.fleet.desk import Counter, Desk, packed, unpacked
from drivetrain.fleet.group import Fleet, Group
from drivetrain.fleet.local import update
from drivetrain.fleet.table import Table
from drivetrain.types import InputError


class Dying(Exception):
    """An actor's end, at a moment that a test has chosen."""


class Mortal:
    """A door that one actor dies at: before or after its n-th window has been handed in."""

    def __init__(self, desk, when, windows):
        self.desk, self.when, self.left = desk, when, windows

    def hire(self, actor):
        return self.desk.hire(actor)

    def order(self, actor, stage):
        return self.desk.order(actor, stage)

    def add(self, actor, *window):
        self.left -= 1
        if self.left == 0 and self.when == "before":
            raise Dying
        going_on = self.desk.add(actor, *window)
        if self.left == 0:
            raise Dying
        return going_on

    def over(self, seconds):
        return self.desk.over(seconds)


@pytest.fixture
def learnt(run, bank, begun):
    """What so many updates give with actors at a desk, of which the first dies as `mortal` says; then another comes."""

    def learnt(fleet, stage, updates, mortal=None):
        desk, taken = Desk(), []
        ground = Ground(run.env, stage.algorithm, bank, EPISODES, run.policy.build(run.env, jax.random.key(0)))

        def live(actor):
            door = desk if mortal is None or actor else Mortal(desk, *mortal)
            try:
                gather_away(door, actor, lambda name: ground)
            except Dying:
                gather_away(desk, actor, lambda name: ground)

        threads = [threading.Thread(target=live, args=(actor,)) for actor in range(fleet.actors)]
        for thread in threads:
            thread.start()
        train = begun(stage)
        with closing(Group(fleet, desk, stage.name)) as group:
            take = group.table.take
            group.table.take = lambda version: taken.append(take(version)) or taken[-1]
            for _ in range(updates):
                train, gathered, figures = group.update(run.env, stage, bank, EPISODES, train)
            assert group.received >= sum(window.data[1][0].id.nbytes for window in taken)
        desk.end()
        for thread in threads:
            thread.join(30.0)
        assert not [thread for thread in threads if thread.is_alive()]
        return train, (gathered, figures), taken

    return learnt


@pytest.mark.parametrize("mortal", [None, ("before", 2), ("after", 2)], ids=["nobody dies", "before", "after"])
@pytest.mark.parametrize("number", [0, 1], ids=["bc", "ppo"])
def test_in_step_they_learn_what_the_fused_program_learns_whenever_one_dies(
    run,
    bank,
    begun,
    learnt,
    number,
    mortal,
):
    stage = run.stages[number]
    train = begun(stage)
    for _ in range(3):
        train, *figures = update(run.env, stage, bank, EPISODES, train)
    apart, said, _ = learnt(Fleet(groups=1, actors=2, away=True, synchronous=True), stage, 3, mortal)
    assert_same(train, apart)
    assert_same(tuple(figures), said)


def test_running_ahead_nothing_is_learnt_twice_or_left_out_where_one_dies(run, learnt):
    stage = run.stages[1]
    for moment in ("before", "after"):
        fleet = Fleet(groups=1, actors=2, away=True, capacity=1)
        _, _, taken = learnt(fleet, stage, 5, (moment, 2))
        ids = [tuple(row) for window in taken for row in window.ids.tolist()]
        assert len(set(ids)) == len(ids) == 5 * stage.scenes
        for actor in {window.actor for window in taken}:  # without a gap, but for new beginnings
            steps = [window.data[1][0].steps for window in taken if window.actor == actor]
            for before, after in zip(steps, steps[1:], strict=False):
                follows = np.asarray(after.state.time[:, 0]) == np.asarray(before.state.time[:, -1]) + 1
                assert np.all(follows | np.asarray(after.fresh)[:, 0, 0])


def test_who_follows_an_actor_waits_until_its_last_window_is_in():
    """A call of one that died may still wait for room in the table: who comes next goes on after that window."""
    desk, table = Desk(), Table(capacity=1)
    first, last = [np.zeros((1, 2), np.uint32)], [np.ones((1, 2), np.uint32)]
    desk.open(Counter("bc", [first], table, lambda turn: (first, 7, 1), False, lambda leaves: (leaves, ())))
    job, order = desk.hire(0), desk.order(0, "bc")
    assert job.stage == "bc" and np.array_equal(job.carry[0], first[0]) and order.version == 7
    assert desk.add(0, "bc", 7, first[0], first)
    adds = threading.Thread(target=lambda: desk.add(0, "bc", 7, last[0], last))
    adds.start()
    hired = []
    follows = threading.Thread(target=lambda: hired.append(desk.hire(0)))
    adds.join(0.2)  # it waits for room by now
    follows.start()
    follows.join(0.2)
    assert adds.is_alive() and not hired
    table.take(7)
    for thread in (adds, follows):
        thread.join(10.0)
    assert np.array_equal(hired[0].carry[0], last[0])
    assert desk.order(0, "the stage before") is None and not desk.add(0, "the stage before", 7, last[0], last)


def test_a_desk_tells_whether_the_run_is_over():
    desk = Desk()
    assert not desk.over(0.01) and desk.order(0, "bc") is None
    assert not desk.add(0, "bc", 0, np.zeros((1, 2), np.uint32), [])
    desk.end()
    assert desk.over(0.01) and desk.hire(0) is None


def test_a_group_without_a_desk_cannot_have_actors_away(run, bank, begun):
    stage, fleet = run.stages[1], Fleet(groups=1, actors=1, away=True)
    with pytest.raises(InputError, match=r"fleet\.away: nobody can reach"), closing(Group(fleet)) as group:
        group.update(run.env, stage, bank, EPISODES, begun(stage))


def test_what_is_packed_is_arrays_alone_and_comes_back():
    tree = {"key": jax.random.key(3), "some": (jnp.arange(3), jnp.ones((2, 2), jnp.bfloat16))}
    leaves = packed(tree)
    assert all(type(leaf) is np.ndarray for leaf in leaves)
    back = unpacked(jax.eval_shape(lambda: tree), leaves)
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert_same(jax.tree.map(lambda leaf: leaf, back["some"]), tree["some"])
    assert np.array_equal(jax.random.key_data(back["key"]), jax.random.key_data(tree["key"]))
