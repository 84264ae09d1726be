"""The table of a group: order, bounds, staleness, and an end to every wait."""

import threading
import time

import numpy as np
import pytest

from drivetrain.fleet.table import Closed, Table, Window
from drivetrain.types import InputError


def window(number, actor=0, version=0, scenes=1):
    """One whose segments no other has."""
    ids = np.array([[actor, 1000 * number + scene] for scene in range(scenes)], np.uint32)
    return Window(actor, version, ids, number)


def waiting(function, *arguments):
    """A thread in a call that does not come back yet; what it gave or raised comes into the list."""
    came = []

    def call():
        try:
            came.append(function(*arguments))
        except BaseException as error:
            came.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    return thread, came


def ended(thread):
    thread.join(5.0)
    return not thread.is_alive()


def test_the_oldest_is_taken_first_and_once():
    table = Table(3)
    for number in range(3):
        table.add(window(number))
    assert [table.take(0).data for _ in range(3)] == [0, 1, 2] and len(table) == 0


def test_who_adds_to_a_full_table_waits_for_room():
    table = Table(2)
    table.add(window(0))
    table.add(window(1))
    thread, came = waiting(table.add, window(2))
    assert len(table) == 2
    assert table.take(0).data == 0
    assert ended(thread) and came == [None]
    assert [table.take(0).data for _ in range(2)] == [1, 2]
    assert table.figures()["windows_left_out"] == 0.0


def test_or_the_oldest_goes_and_is_counted():
    table = Table(2, oldest_out=True)
    for number in range(5):
        table.add(window(number))
    assert [table.take(0).data for _ in range(2)] == [3, 4]
    assert table.figures()["windows_left_out"] == 3.0
    assert table.figures()["windows_left_out"] == 0.0  # since they were last asked for


def test_staleness_is_of_samples_and_the_share_of_waiting_is_of_all_time():
    now = [0.0]
    table = Table(8, clock=lambda: now[0])
    for number, (version, scenes) in enumerate([(9, 16), (7, 3), (1, 1)]):
        table.add(window(number, version=version, scenes=scenes))
        table.take(10)
    now[0] = 4.0
    figures = table.figures()
    assert figures["staleness_mean"] == pytest.approx((16 * 1 + 3 * 3 + 1 * 9) / 20)
    assert figures["staleness_p95"] == 9.0  # of twenty samples, one is above the 95th percentile of the others
    assert figures["waiting_share_of_seconds"] == 0.0

    class Late(threading.Condition):
        def wait(self, timeout=None):
            now[0] += 1.0
            table._windows.append(window(9, version=10))

    table._changed = Late()
    table.take(10)
    now[0] = 8.0
    figures = table.figures()
    assert figures["waiting_share_of_seconds"] == pytest.approx(1.0 / 4.0)
    assert figures["staleness_mean"] == 0.0


def test_closing_wakes_everyone():
    full, empty = Table(1), Table(1)
    full.add(window(0))
    adding, taking = waiting(full.add, window(1)), waiting(empty.take, 0)
    for table, (thread, came) in ((full, adding), (empty, taking)):
        table.close()
        assert ended(thread) and isinstance(came[0], Closed)
        for call in (lambda table=table: table.take(0), lambda table=table: table.add(window(2))):
            with pytest.raises(Closed):
                call()
        with pytest.raises(Closed):
            table.begin(0)


def test_an_actor_that_died_is_told_to_who_waits_for_it_and_ends_the_others():
    empty, full = Table(1), Table(1)
    full.add(window(0))
    taking, adding = waiting(empty.take, 0), waiting(full.add, window(1, actor=1))
    for table in (empty, full):
        table.fail(0, RuntimeError("out of road"))
    assert ended(taking[0]) and str(taking[1][0]) == "out of road"
    assert ended(adding[0]) and isinstance(adding[1][0], Closed)
    with pytest.raises(RuntimeError, match="out of road"):  # though a window is there
        full.take(0)
    with pytest.raises(Closed):
        full.begin(1)


def test_an_actor_that_is_stuck_is_named():
    table = Table(2, patience=0.05)
    table.begin(1)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"actor 1 is stuck: no window for 0\.05 s"):
        table.take(0)
    assert time.monotonic() - began < 5.0
    table.add(window(0, actor=0))
    with pytest.raises(InputError, match="actor 1 is stuck"):  # though another one drives on
        table.take(0)
    table.add(window(0, actor=1))
    assert {table.take(0).actor for _ in range(2)} == {0, 1}
    with pytest.raises(InputError, match="no actor drives"):
        table.take(0)


def test_an_actor_that_waits_for_room_is_not_stuck():
    now = [0.0]
    table = Table(1, patience=5.0, clock=lambda: now[0])
    table.add(window(0))
    table.begin(0)
    thread, _ = waiting(table.add, window(1))
    now[0] = 100.0
    assert table.take(0).data == 0 and ended(thread) and table.take(0).data == 1


def test_a_segment_that_comes_twice_is_refused():
    table = Table(4)
    table.add(window(0, scenes=3))
    table.take(0)
    with pytest.raises(ValueError, match="actor 0: a segment was added twice"):
        table.add(Window(0, 1, window(0, scenes=3).ids[1:2], 1))
    ids = window(1).ids
    with pytest.raises(ValueError, match="twice"):
        table.add(Window(0, 1, np.concatenate([ids, ids]), 1))
    assert len(table) == 0


def test_under_many_threads_all_come_once_and_each_actors_in_order():
    table, count, actors = Table(3), 150, 4

    def drive(actor):
        for number in range(count):
            table.begin(actor)
            table.add(window(number, actor))

    threads = [threading.Thread(target=drive, args=(actor,), daemon=True) for actor in range(actors)]
    for thread in threads:
        thread.start()
    taken, most = [], 0
    for _ in range(actors * count):
        most = max(most, len(table))
        taken.append(table.take(0))
    assert all(ended(thread) for thread in threads)
    assert most <= 3 and len(table) == 0
    for actor in range(actors):
        assert [each.data for each in taken if each.actor == actor] == list(range(count))
