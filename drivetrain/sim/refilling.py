"""A bank of fixed slots whose recordings are replaced while it is in use: constant memory, one compiled program.

    prepare   one recording on the host (NumPy): its map, its road by cells, its log, a few of its egos as episodes
    refill    some slots of the bank replaced on the device, in place

A slot is one row of maps, roads and logs, and `episodes` rows of episodes and of routes, one route each. Whoever
refills a bank in use must open anew the scenes that were on the slots replaced (`fleet/feeding.py`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.sim.bank import Bank
from drivetrain.sim.building import Layout, host_bank
from drivetrain.sim.roads import Indexing, aligned_zeros
from drivetrain.types import Array, Scenario, component, replace


@component
class Slots:
    """The fixed shape of a bank that is refilled."""

    count: int  # recordings at once
    cells: int  # road cells a recording
    episodes: int = 1  # a recording; drawn from its egos, again and again where they are fewer
    indexing: Indexing = Indexing()
    longest: int = 0  # steps of an episode, at most; 0: as recorded
    paths: bool = False  # for traffic that follows them (`make_bank`)


def prepare(
    scenario: Scenario,
    admitted: Bool[np.ndarray, "E"],
    group: int,
    dt: float,
    slots: Slots,
    seed: tuple[int, ...],
    block: Float[np.ndarray, "1 G k B"],
    name: str = "",
) -> Bank:
    """A bank of one recording (NumPy) in the shape of a slot, its egos drawn by `seed`, its road written into `block`.

    Raises `InputError` where its road needs more cells than a slot has, or nobody may be driven.
    """
    draw = np.random.default_rng(seed)
    rows = draw.permutation(np.flatnonzero(admitted))
    marks = np.zeros_like(admitted)
    marks[rows[: slots.episodes]] = True
    layout = Layout(longest=slots.longest or None, indexing=slots.indexing, paths=slots.paths)
    bank = host_bank([scenario], dt, layout, [marks], blocks=block, names=[name])
    drawn, episodes = len(bank.episodes.map), bank.episodes
    if drawn != slots.episodes:
        again = np.arange(slots.episodes) % drawn
        if drawn > slots.episodes:  # egos cut to several episodes
            again = draw.permutation(drawn)[: slots.episodes]
        episodes = jax.tree.map(lambda leaf: leaf[again], episodes)
    routes = jax.tree.map(lambda leaf: leaf[episodes.route[:, 0]], bank.routes)  # one for each episode
    own = np.arange(slots.episodes, dtype=np.int32)[:, None]
    episodes = replace(episodes, route=own, source=np.full(slots.episodes, group, np.int32))
    return replace(bank, episodes=episodes, routes=routes)


def join(recordings: Sequence[Bank], blocks: Float[np.ndarray, "n G k B"]) -> Bank:
    """Several prepared recordings in one, to be handed over together (NumPy); `blocks` are theirs."""

    def rows(*parts: np.ndarray) -> np.ndarray:
        if parts[0] is recordings[0].roads.block:
            return blocks
        return _concatenated(parts) if parts[0].ndim else parts[0]

    return jax.tree.map(rows, *recordings)


def _concatenated(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one after the other."""
    shape = (sum(len(row) for row in rows), *rows[0].shape[1:])
    return np.concatenate(rows, out=aligned_zeros(shape, rows[0].dtype))


def first_fill(fresh: Bank, slots: Slots) -> Bank:
    """The bank of `slots.count` prepared recordings, on the device."""
    return jax.tree.map(jnp.array, _numbered(fresh, jnp.arange(slots.count, dtype=jnp.int32)))


def refill(bank: Bank, fresh: Bank, into: Int[Array, "n"]) -> Bank:
    """The bank with n of its slots replaced, which are named in ascending order; the bank that was given is used up.

    Some are replaced in place. Where all are, the fresh ones themselves become the bank, and nothing is copied.
    """
    if len(into) < len(bank.logs.steps):
        return _refill(bank, fresh, into)
    jax.tree.map(lambda leaf: leaf.delete(), bank)
    return _numbered(fresh, into)


def _numbered(fresh: Bank, slots: Int[Array, "n"]) -> Bank:
    """Recordings whose episodes and routes know their slots."""
    at = jnp.repeat(slots, len(fresh.episodes.map) // len(slots))
    route = _rows_of(fresh, slots)[:, None]
    episodes = replace(fresh.episodes, map=at, log=jnp.array(at), route=route)
    return replace(fresh, episodes=episodes, routes=replace(fresh.routes, map=jnp.array(at)))


def _rows_of(bank: Bank, slots: Int[Array, "n"]) -> Int[Array, "m"]:
    """The rows of episodes, which are those of their routes, that belong to some slots."""
    each = len(bank.episodes.map) // len(bank.logs.steps)
    return (slots[:, None] * each + jnp.arange(each, dtype=slots.dtype)).ravel()


@partial(jax.jit, donate_argnames=("bank",))
def _refill(bank: Bank, fresh: Bank, into: Int[Array, "n"]) -> Bank:
    rows, fresh = _rows_of(bank, into), _numbered(fresh, into)

    def put(old: Any, new: Any, at: Array) -> Any:
        return jax.tree.map(lambda leaf, part: leaf.at[at].set(part), old, new)

    return Bank(
        lines=put(bank.lines, fresh.lines, into),
        roads=put(bank.roads, fresh.roads, into),
        cell=bank.cell,
        logs=put(bank.logs, fresh.logs, into),
        record=put(bank.record, fresh.record, into),
        paths=put(bank.paths, fresh.paths, into),
        routes=put(bank.routes, fresh.routes, rows),
        episodes=put(bank.episodes, fresh.episodes, rows),
        dt=bank.dt,
    )
