"""A group: a learner, its own table, its own actors; by default in one process (Podracer's Sebulba, arXiv 2104.06272).

                  ┌─────────────── policy and its version ────────────────┐
                  ▼                                                       │
    actor 0   ┌ read ─▶ gather a window ─▶ add ┐                          │
    actor 1   │  ⋮                             ├─▶ table ─▶ take, from    │
      ⋮       └ (each a thread, with its share ┘          each one ─▶ prepare ─▶ learn
                of the scenes, on one device)             (the thread that calls `update`)

    `away`    actors are processes (`away.py`) that read and add through the learner's `Desk`; all else is the same

    an actor waits     for room in the table; synchronously, for a policy that it has not driven a window with
    the learner waits  for as many windows as there are actors
    nobody waits       for an actor to learn of a new policy: it ends each window with the one that it began with

A group is driven as the fused program is (`local.update`). The carry of its training state is that of the windows that
were *learnt*: one that was driven and not yet taken is driven again after a restart, by the policy that was saved.
A thread's trajectories do not leave the process; they go to the learner's devices once.
"""

import collections
import threading
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.env import Env
from drivetrain.fleet.desk import Counter, Desk, Leaves, unpacked
from drivetrain.fleet.local import averaged, gather_window, learn_share, update
from drivetrain.fleet.table import Closed, Table, Window
from drivetrain.learn.algorithm import Algorithm, Carry, Figures, TrainState
from drivetrain.learn.update import Learning
from drivetrain.parallel import (
    Device,
    check_even,
    home,
    left,
    mesh,
    on_one,
    over_learners,
    own_part,
    own_shared_out,
    total,
)
from drivetrain.policy.base import Policy
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Key, Segment, component, replace

GRACE = 30.0
"""Seconds that a group which closes gives an actor to end its window; one that is stuck dies with the process."""


@component
class Fleet:
    """Who gathers and who learns. Without actors both are one fused program; without groups there is one, in place."""

    groups: int = 0  # processes that learn together, each from its share of the scenes; 0: the one that was started
    address: str = ""  # of the Ray cluster whose machines have them; empty: this one, which nobody else can reach
    cores: int = 0  # of each group; 0: its share of this machine's
    gpus: int = 0  # of each group
    restarts: int = 5  # of all groups, at most, without an update between them
    evaluator: bool = False  # a process more judges policies, beside the learners; else these do, and wait
    dashboard: bool = False  # Ray's own page, on this machine
    actors: int = 0  # of a group: threads that gather, beside the learner; 0: the fused program
    away: bool = False  # actors are processes of their own, anywhere in the cluster
    capacity: int = 2  # windows that wait to be learnt, at most, for each actor
    oldest_out: bool = False  # of a full table the oldest window makes room; else its actor waits
    synchronous: bool = False  # every policy drives one window in each scene, and is learnt from before the next
    delay: int = 0  # actors are given policies so many updates old
    devices: int = 0  # of a process, the last ones: the actors' own; 0: they are on the learner's
    patience: float = 600.0  # s that an actor may take for a window, and groups for an update, compilation included

    def __post_init__(self):
        for name in ("groups", "cores", "gpus", "restarts", "actors", "capacity", "delay", "devices"):
            least = 1 if name == "capacity" else 0
            if getattr(self, name) < least:
                raise InputError(f"fleet.{name}: {getattr(self, name)} (at least {least})")
        if self.patience <= 0.0:
            raise InputError(f"fleet.patience: {self.patience} (seconds above 0)")
        if self.devices and not self.actors:
            raise InputError(f"fleet.devices: {self.devices} for no actor (set fleet.actors too)")
        if self.devices and self.away:
            raise InputError(f"fleet.devices: {self.devices} for actors that are away (set 0)")
        if self.away and not self.actors:
            raise InputError("fleet.away: no actor (set fleet.actors too)")
        for name in ("address", "evaluator", "dashboard", "away"):
            if getattr(self, name) and not self.groups:
                raise InputError(f"fleet.{name}: {getattr(self, name)} for no group (set fleet.groups too)")

    def __bool__(self) -> bool:
        return self.actors > 0

    def rules(self, algorithm: Algorithm) -> Algorithm:
        """The algorithm as the learner applies it. Raises `InputError` for one that needs the policy that drove."""
        exact = not self or (self.synchronous and self.delay == 0)
        return algorithm if exact else algorithm.behind()

    def check(self, learning: Learning) -> None:
        """Raise `InputError` unless groups can learn so."""
        groups = max(self.groups, 1)
        if learning.scenes % groups:
            raise InputError(f"fleet.groups: {groups} for {learning.scenes} scenes (choose a divisor)")
        if not self:
            return
        self.rules(learning.algorithm)
        if learning.rebuilt:
            raise InputError("rebuilt: windows of actors hold what was seen (set False, or fleet.actors to 0)")
        if learning.league:
            raise InputError(f"fleet.actors: {self.actors} with a league (leave out one)")
        if learning.scenes // groups % self.actors:
            of = "scenes" if groups == 1 else "scenes of each group"
            raise InputError(f"fleet.actors: {self.actors} for {learning.scenes // groups} {of} (choose a divisor)")


class Board:
    """Where the learner hangs its policy, and actors read it; the last `delay` ones wait there for their turn."""

    def __init__(self, delay: int):
        self._changed = threading.Condition()
        self._policies: collections.deque[tuple[Policy, int]] = collections.deque(maxlen=delay + 1)
        self._turn, self._closed = 0, False

    def write(self, policy: Policy, version: int) -> None:
        """Hang up the policy of so many updates."""
        with self._changed:
            self._policies.append((policy, version))
            self._turn += 1
            self._changed.notify_all()

    def read(self, turn: int) -> tuple[Policy, int, int]:
        """The policy that is due, its version, and the number of the present turn; waits for one above `turn`.

        Until as many as the delay have been hung up, it is the first. Raises `Closed`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._turn > turn)
            if self._closed:
                raise Closed
            return *self._policies[0], self._turn

    def close(self) -> None:
        """Let go of everyone who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Group:
    """The learner's side, and its actors' threads; they begin with the first update and end with `close`."""

    def __init__(self, fleet: Fleet, desk: Desk | None = None, stage: str = ""):
        """`desk` is where actors that are away come to, and `stage` the name by which they know what they drive."""
        self.fleet, self.board = fleet, Board(fleet.delay)
        self._desk, self._stage, self._counter = desk, stage, None
        self.table = Table(fleet.capacity * max(fleet.actors, 1), fleet.oldest_out, fleet.patience)
        self._threads: list[threading.Thread] = []
        self._carries: list[Carry] = []  # of each actor, after the last of its windows that was learnt
        self._version = 0

    def update(
        self, env: Env, learning: Learning, bank: Bank, episodes: Int[Array, "E"], train: TrainState
    ) -> tuple[TrainState, Figures, Figures]:
        """As `local.update`, which it is without actors: a window of every scene is learnt (of an actor that is ahead,
        maybe two of some scenes).

        The environment, the bank and the episodes are those of the first call, and the training state what the last
        one gave. Raises what an actor raised, and `InputError` where one is stuck, or a group cannot learn so.
        """
        if not self.fleet:
            return update(env, learning, bank, episodes, train)
        begins = not self._carries
        if begins:
            self._begin(env, learning, bank, episodes, train)
        if begins or self.fleet.synchronous:
            self.board.write(train.policy, self._version)
        windows = sorted((self.table.take(self._version) for _ in self._carries), key=lambda window: window.actor)
        for window in windows:  # of two by the same actor, the later one stays
            self._carries[window.actor] = window.data[0]
        segments, gathered = zip(*(window.data[1] for window in windows), strict=True)
        rest = train.average, (train.optimiser, train.sieve), train.step, train.key
        learning = replace(learning, algorithm=self.fleet.rules(learning.algorithm))
        policy, rest, summed, learnt = _learnt(env, learning, bank, segments, gathered, train.policy, rest)
        average, (optimiser, sieve), step, key = rest
        self._version += 1
        if not self.fleet.synchronous:
            self.board.write(policy, self._version)
        carry = own_shared_out(_joined([jax.device_put(carry, home()) for carry in self._carries]))
        train = replace(
            train,
            policy=policy,
            average=average,
            optimiser=optimiser,
            sieve=sieve,
            step=step,
            key=key,
            carry=carry,
        )
        return train, summed, learnt

    def figures(self) -> dict[str, float]:
        """What the journal says of the updates since it was last asked; nothing where there are no actors."""
        return self.table.figures() if self.fleet else {}

    @property
    def received(self) -> int:
        """Bytes that have come from actors that are away."""
        return self._counter.bytes if self._counter else 0

    def close(self) -> None:
        """End the actors' threads, and the work of those that are away. What nobody learnt is left behind."""
        if self._desk is not None:
            self._desk.close()
        self.table.close()
        self.board.close()
        for thread in self._threads:
            thread.join(GRACE)

    def _begin(self, env: Env, learning: Learning, bank: Bank, episodes: Int[Array, "E"], train: TrainState) -> None:
        self.fleet.check(learning)
        groups = max(self.fleet.groups, 1)
        share = learning.scenes // groups // self.fleet.actors
        check_even(share * groups, "fleet.actors: scenes of each")
        self._version = int(train.step)
        carries = own_part(train.carry)
        if self.fleet.away:
            self._expect(share, carries, (env, learning.algorithm, bank, episodes, train.policy))
            return
        devices = left() or list(mesh().local_devices)
        for actor in range(self.fleet.actors):
            device, own = devices[actor % len(devices)], slice(actor * share, (actor + 1) * share)
            carry = jax.device_put(jax.tree.map(lambda leaf, own=own: leaf[own], carries), device)
            given = env, learning.algorithm, on_one(bank, device), on_one(episodes, device)
            drive = partial(self._drive, actor, device, given, carry)
            self._carries.append(carry)
            self._threads.append(threading.Thread(target=drive, name=f"actor-{actor}", daemon=True))
        for thread in self._threads:
            thread.start()

    def _expect(self, share: int, carries: Carry, given: tuple[Env, Algorithm, Bank, Array, Policy]) -> None:
        """Open the desk to actors that are away."""
        rows = [slice(actor * share, (actor + 1) * share) for actor in range(self.fleet.actors)]
        self._carries = [jax.tree.map(lambda leaf, own=own: leaf[own], carries) for own in rows]
        like = gather_window.eval_shape(*given, np.int32(0), self._carries[0])

        def received(leaves: Leaves) -> tuple[Carry, Any]:
            carry, *driven = unpacked(like, leaves)
            return carry, jax.block_until_ready(own_shared_out(driven))

        if self._desk is None:
            raise InputError("fleet.away: nobody can reach this process (set fleet.groups)")
        window = self.table, self.board.read, self.fleet.synchronous, received
        self._counter = Counter(self._stage, list(self._carries), *window)
        self._desk.open(self._counter)

    def _drive(self, actor: int, device: Device, given: tuple[Any, ...], carry: Carry) -> None:
        """An actor's life: window after window, each with the policy that is due when it begins."""
        turn = 0
        try:
            while True:
                policy, version, now = self.board.read(turn)
                turn = now if self.fleet.synchronous else 0
                carry = self._drive_window(actor, given, on_one(policy, device), version, carry)
        except Closed:
            return
        except BaseException as error:
            error.add_note(f"in actor {actor}")
            self.table.fail(actor, error)

    def _drive_window(self, actor: int, given: tuple[Any, ...], policy: Policy, version: int, carry: Carry) -> Carry:
        """One window into the table, whole: where it ended."""
        self.table.begin(actor)
        carry, *driven = jax.block_until_ready(gather_window(*given, policy, np.int32(version), carry))
        ids = np.asarray(driven[0].id)
        self.table.add(Window(actor, version, ids, (carry, jax.block_until_ready(own_shared_out(driven)))))
        return carry


@partial(jax.jit, static_argnames=("env", "learning"), donate_argnames=("rest",))
def _learnt(
    env: Env,
    learning: Learning,
    bank: Bank,
    segments: tuple[Segment, ...],
    gathered: tuple[Figures, ...],
    policy: Policy,
    rest: tuple[Any, Any, Int[Array, ""], Key],
) -> tuple[Policy, tuple[Any, Any, Int[Array, ""], Key], Figures, Figures]:
    """The learner's half of `local.update`, its keys split in the same way: of the segments [scenes] of some windows.

    `rest` of the training state are the mean, the optimiser's state with the sieve, the step and the key. The policy is
    not donated: actors drive by it.
    """
    average, taught, step, key = rest
    prepare_key, learn_key, key = jax.random.split(key, 3)

    def of_share(bank, segments, gathered, policy, taught, learn_key, keys):
        prepare = partial(learning.algorithm.prepare, env, policy, bank)
        batch = jax.vmap(prepare, (0, 0), 1)(_after(segments), keys)
        policy, taught, learnt = learn_share(env, learning, bank, batch, policy, taught, learn_key)
        summed = total(jax.tree.map(lambda rows: jnp.sum(rows, axis=0), _after(gathered)))
        return policy, taught, summed, learnt

    run = over_learners(of_share, (False, True, True, False, False, False, True), (False, False, False, False))
    keys = jax.random.split(prepare_key, learning.scenes)
    policy, taught, summed, learnt = run(bank, segments, gathered, policy, taught, learn_key, keys)
    return policy, (averaged(learning, average, policy), taught, step + 1, key), summed, learnt


def _after(trees: Any) -> Any:
    """Rows of several trees, one tree's after the other's."""
    return trees[0] if len(trees) == 1 else jax.tree.map(lambda *rows: jnp.concatenate(rows), *trees)


_joined = jax.jit(_after)
