"""A bank of fixed slots whose recordings are replaced while it is in use: constant memory, one compiled program.

    prepare   one recording on the host (NumPy): its map, its road by cells, its log, a few of its egos as episodes
    refill    some slots of the bank replaced on the device, in place

A slot is one row of maps, roads and logs, and `episodes` rows of episodes. Whoever refills a bank in use must open
anew the scenes that were on the slots replaced (`fleet/feeding.py`).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from drivetrain.sim.bank import Bank, host_bank
from drivetrain.sim.roads import Indexing
from drivetrain.types import Array, InputError, Scenario, component, replace

ALIGNED = 64
"""Bytes: arrays that begin at a multiple are not copied to a CPU's device."""


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
    scenario: Scenario, admitted: Bool[np.ndarray, "E"], group: int, dt: float, slots: Slots, seed: tuple[int, ...]
) -> Bank:
    """A bank of one recording (NumPy) in the shape of a slot, its egos drawn by `seed`.

    Raises `InputError` where its road needs more cells than a slot has, or nobody may be driven.
    """
    draw = np.random.default_rng(seed)
    rows = draw.permutation(np.flatnonzero(admitted))
    marks = np.zeros_like(admitted)
    marks[rows[: slots.episodes]] = True
    bank = host_bank(
        [scenario],
        dt,
        admitted=[marks],
        longest=slots.longest or None,
        indexing=slots.indexing,
        paths=slots.paths,
        cells=slots.cells,
    )
    if (cells := bank.roads.reach.shape[1]) > slots.cells:
        raise InputError(f"bank: cells: {cells} in slots of {slots.cells} (give slots more cells)")
    again = np.arange(slots.episodes) % len(bank.episodes.map)
    if len(bank.episodes.map) > slots.episodes:  # egos cut to several episodes
        again = draw.permutation(len(bank.episodes.map))[: slots.episodes]
    episodes, ribbons = (jax.tree.map(lambda leaf: leaf[again], part) for part in (bank.episodes, bank.ribbons))
    episodes = replace(episodes, source=np.full(slots.episodes, group, np.int32))
    return replace(bank, episodes=episodes, ribbons=ribbons)


def join(pieces: Sequence[Bank]) -> Bank:
    """Several prepared recordings in one, to be handed over together (NumPy)."""
    first = pieces[0]
    parts = ("maps", "roads", "logs", "paths", "episodes", "ribbons")
    together = {
        part: jax.tree.map(lambda *rows: _concatenated(rows), *(getattr(piece, part) for piece in pieces))
        for part in parts
    }
    return replace(first, **together)


def _concatenated(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one after the other, where a CPU's device takes them as they lie instead of copying them."""
    shape = (sum(len(row) for row in rows), *rows[0].shape[1:])
    size = math.prod(shape) * rows[0].itemsize
    room = np.empty(size + ALIGNED, np.uint8)
    start = -room.ctypes.data % ALIGNED
    return np.concatenate(rows, out=room[start : start + size].view(rows[0].dtype).reshape(shape))


def first_fill(pieces: Bank, slots: Slots) -> Bank:
    """The bank of `slots.count` prepared recordings, on the device."""
    rows = np.repeat(np.arange(slots.count, dtype=np.int32), slots.episodes)
    return jax.tree.map(jnp.array, replace(pieces, episodes=replace(pieces.episodes, map=rows, log=rows)))


@partial(jax.jit, donate_argnames=("bank",))
def refill(bank: Bank, pieces: Bank, into: Int[Array, "n"]) -> Bank:
    """The bank with n of its slots replaced, in place: the bank that was given is used up."""
    each = len(bank.episodes.map) // len(bank.logs.steps)
    rows = (into[:, None] * each + jnp.arange(each)).ravel()
    slot = jnp.repeat(into, each)
    episodes = replace(pieces.episodes, map=slot, log=slot)

    def put(old: Any, new: Any, at: Array) -> Any:
        return jax.tree.map(lambda leaf, part: leaf.at[at].set(part), old, new)

    return Bank(
        maps=put(bank.maps, pieces.maps, into),
        roads=put(bank.roads, pieces.roads, into),
        cell=bank.cell,
        logs=put(bank.logs, pieces.logs, into),
        paths=put(bank.paths, pieces.paths, into),
        episodes=put(bank.episodes, episodes, rows),
        ribbons=put(bank.ribbons, pieces.ribbons, rows),
        dt=bank.dt,
    )
