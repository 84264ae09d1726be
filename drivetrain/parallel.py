"""All devices of this process as one row of learners: scenes are shared out among them, all else stands on each.

On CPUs a core is a device: small programs gain more from two of them side by side than from XLA's threads.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from drivetrain.types import InputError

LEARNERS = "learners"
"""The axis of the devices."""
T = TypeVar("T")
Device = Any
"""One of `jax.devices()`."""


def one_device_a_core() -> None:
    """Have JAX take each CPU core as a device of its own; before JAX is first used, and without effect on GPUs."""
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


_LEFT = [0]  # devices that are not of the row


def leave(count: int) -> None:
    """Leave the last `count` devices out of the row, for others; before any program runs on it.

    Raises `InputError` where none would remain.
    """
    devices = len(jax.devices())
    if count >= devices:
        raise InputError(f"fleet.devices: {count} of {devices} devices (leave one to the learner, or set 0)")
    if count != _LEFT[0]:
        _LEFT[0] = count
        mesh.cache_clear()


def left() -> list[Device]:
    """The devices that are left out of the row."""
    devices = jax.devices()
    return devices[len(devices) - _LEFT[0] :]


@functools.cache
def mesh() -> Mesh:
    """The devices."""
    devices = jax.devices()
    return Mesh(np.array(devices[: len(devices) - _LEFT[0]]), (LEARNERS,))


def on_each(tree: T) -> T:
    """A copy of everything on each device."""
    return jax.device_put(tree, NamedSharding(mesh(), P()))


def on_one(tree: T, device: Device) -> T:
    """The same on one device: what stands on each, where it stands there already, else a copy."""

    def of_leaf(leaf: jax.Array) -> jax.Array:
        for shard in leaf.addressable_shards:
            if shard.device == device and shard.data.shape == leaf.shape:
                return shard.data
        return jax.device_put(leaf, device)

    return jax.tree.map(of_leaf, tree)


def shared_out(tree: T) -> T:
    """Rows of every leaf shared out among the devices. Raises `InputError` where they do not come out even."""
    for leaf in jax.tree.leaves(tree):
        check_even(len(leaf))
    return jax.device_put(tree, NamedSharding(mesh(), P(LEARNERS)))


def check_even(rows: int, name: str = "scenes") -> None:
    """Raise `InputError` unless so many rows can be shared out evenly."""
    devices = mesh().size
    if rows % devices:
        raise InputError(f"{name}: {rows} on {devices} devices (choose a multiple)")


def shares(rows: int) -> int:
    """The least number of rows, no fewer than these, that can be shared out evenly."""
    return -(-rows // mesh().size) * mesh().size


def over_learners(function: Callable[..., Any], given: tuple[bool, ...], gives: Any) -> Callable[..., Any]:
    """A function that each device runs on its share: arguments (and results) marked True are shared out by rows, the
    others are the same on each. Alone, it is the function itself.
    """
    if mesh().size == 1:
        return function
    specs = tuple(P(LEARNERS) if shared else P() for shared in given)
    out = jax.tree.map(lambda shared: P(LEARNERS) if shared else P(), gives)
    return jax.shard_map(function, mesh=mesh(), in_specs=specs, out_specs=out, check_vma=False)


def total(tree: T) -> T:
    """The sum over all learners, inside of `over_learners`."""
    return tree if mesh().size == 1 else jax.lax.psum(tree, LEARNERS)


def most(tree: T) -> T:
    """The largest over all learners, inside of `over_learners`."""
    return tree if mesh().size == 1 else jax.lax.pmax(tree, LEARNERS)


def learner() -> Any:
    """Which learner this is, inside of `over_learners`."""
    return 0 if mesh().size == 1 else jax.lax.axis_index(LEARNERS)
