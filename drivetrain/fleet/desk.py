"""Where actors that are processes of their own, anywhere in a cluster, deal with the learner that they gather for.

    an actor                                          its learner's process
    hire   ── waits for a stage ────────────────────▶  a job: which stage, and where its scenes stand
    order  ── waits for a policy that is due ───────▶  its leaves and its version
    (gathers a window, with the same `gather`)
    add    ── waits while the table is full ────────▶  the replay table
    over   ── anybody: has the run come to its end? ▶

An actor knows nothing that the learner does not: one that dies is replaced by one that is hired with the carry of the
last window that was *added*, so that nothing is driven twice and nothing is left out. Only arrays go between them; both
know what they are leaves of. A window goes as a whole: where that is less than some 2 MB, give each actor more scenes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.fleet.table import Closed, Table, Window
from drivetrain.policy.base import Policy

Leaves = list[np.ndarray]
"""Of a tree that both sides know the structure of."""


@dataclass(frozen=True)
class Job:
    """What an actor is hired for."""

    stage: str
    carry: Leaves  # of its scenes


@dataclass(frozen=True)
class Order:
    """What it drives the next window with."""

    policy: Leaves
    version: int  # updates before it


@runtime_checkable
class Door(Protocol):
    """A desk, from wherever it is seen."""

    def hire(self, actor: int) -> Job | None:
        """The next job; None: the run is over."""
        ...

    def order(self, actor: int, stage: str) -> Order | None:
        """The next order; None: the job is done."""
        ...

    def add(self, actor: int, stage: str, version: int, ids: np.ndarray, leaves: Leaves) -> bool:
        """Hand in a window, of segments with such ids: whether the job goes on."""
        ...

    def over(self, seconds: float) -> bool:
        """Whether the run is over, or comes to its end within so many seconds."""
        ...


@dataclass
class Counter:
    """One stage at a desk: what the learner's group gives, and what it has learnt of its actors so far."""

    stage: str
    carries: list[Any]  # of each actor, after the last window that it handed in
    table: Table
    read: Callable[[int], tuple[Policy, int, int]]  # the policy that is due, its version and turn, above a turn
    synchronous: bool
    received: Callable[[Leaves], tuple[Any, Any]]  # from leaves to (carry, what was driven)
    turns: dict[int, int] = field(default_factory=dict)  # of each actor's last window
    due: dict[int, int] = field(default_factory=dict)  # of each actor's last order
    bytes: int = 0  # that came
    packed: tuple[int, Leaves] = (-1, [])  # the last policy that was sent


class Desk:
    """A learner's `Door`. All of it may be called from any thread; an actor makes one call at a time."""

    def __init__(self):
        self._changed = threading.Condition()
        self._counter: Counter | None = None
        self._over = False
        self._actors: dict[int, threading.Lock] = {}  # held while a window is handed in: who follows waits for that

    def open(self, counter: Counter) -> None:
        """A stage begins."""
        with self._changed:
            self._counter = counter
            self._changed.notify_all()

    def close(self) -> None:
        """It has ended."""
        with self._changed:
            self._counter = None

    def end(self) -> None:
        """So has the run."""
        with self._changed:
            self._counter, self._over = None, True
            self._changed.notify_all()

    def over(self, seconds: float) -> bool:
        """As `Door` has it."""
        with self._changed:
            return self._changed.wait_for(lambda: self._over, seconds)

    def hire(self, actor: int) -> Job | None:
        """As `Door` has it."""
        with self._changed:
            lock = self._actors.setdefault(actor, threading.Lock())
            self._changed.wait_for(lambda: self._over or self._counter is not None)
            counter = self._counter
        if counter is None:
            return None
        with lock:
            return Job(counter.stage, packed(counter.carries[actor]))

    def order(self, actor: int, stage: str) -> Order | None:
        """As `Door` has it."""
        counter = self._counter
        if counter is None or counter.stage != stage:
            return None
        try:
            policy, version, turn = counter.read(counter.turns.get(actor, 0) if counter.synchronous else 0)
            counter.table.begin(actor)
        except Closed:
            return None
        counter.due[actor] = turn
        with self._changed:
            if counter.packed[0] != version:
                counter.packed = version, packed(policy)
            return Order(counter.packed[1], version)

    def add(self, actor: int, stage: str, version: int, ids: np.ndarray, leaves: Leaves) -> bool:
        """As `Door` has it."""
        counter = self._counter
        if counter is None or counter.stage != stage:  # it has ended meanwhile, and maybe the next has begun
            return False
        with self._actors[actor]:
            carry, driven = counter.received(leaves)
            try:
                counter.table.add(Window(actor, version, ids, (carry, driven)))
            except Closed:
                return False
            counter.carries[actor] = carry
            counter.turns[actor] = counter.due[actor]
            with self._changed:
                counter.bytes += sum(leaf.nbytes for leaf in leaves)
        return True


def packed(tree: Any) -> Leaves:
    """Leaves on the host; of random keys, their data."""
    return [np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in jax.tree.leaves(tree)]


def unpacked(like: Any, leaves: Leaves) -> Any:
    """The tree of which these are the leaves, as `like` has it (shapes suffice)."""
    shapes, structure = jax.tree.flatten(like)
    made = [
        jax.random.wrap_key_data(jnp.asarray(leaf)) if _is_key(shape) else leaf
        for shape, leaf in zip(shapes, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, made)


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
