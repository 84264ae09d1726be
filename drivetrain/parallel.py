"""All devices as one row of learners: scenes are shared out among them, all else stands on each.

They may be of several processes that have joined (`join`). Each then runs the same programs in the same order, and has
its own part of what is shared out: whoever reads the whole of it asks for it (`fetched`), all at once.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from drivetrain.types import InputError

LEARNERS = "learners"
"""The axis of the devices."""
T = TypeVar("T")
Device = Any
"""One of `jax.devices()`."""


HEARTBEAT = 10
"""Seconds without a sign of life after which a process that has joined counts as dead."""


def join(address: str, count: int, rank: int) -> None:
    """Join `count` processes whose devices are to be one row: NCCL between GPUs, Gloo between CPUs.

    The first (rank 0) listens at `address`, host:port, and nowhere else. Before JAX is first used; waits for all of
    them. Where one of them dies, a collective of the others raises, or never ends: nobody of them can go on.
    """
    host, _, port = address.rpartition(":")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_recoverability", True)
    jax.distributed.initialize(
        address, count, rank, coordinator_bind_address=f"{host}:{port}", heartbeat_timeout_seconds=HEARTBEAT
    )


def leads() -> bool:
    """Whether this process writes what all of them have: the first does."""
    return jax.process_index() == 0


_LEFT = [0]  # devices of each process that are not of the row


def leave(count: int) -> None:
    """Leave the last `count` devices of each process out of the row, for others; before any program runs on it.

    Raises `InputError` where none would remain.
    """
    devices = len(jax.local_devices())
    if count >= devices:
        raise InputError(f"fleet.devices: {count} of {devices} devices (leave one to the learner, or set 0)")
    if count != _LEFT[0]:
        _LEFT[0] = count
        mesh.cache_clear()


def left() -> list[Device]:
    """The devices of this process that are left out of the row."""
    devices = jax.local_devices()
    return devices[len(devices) - _LEFT[0] :]


@functools.cache
def mesh() -> Mesh:
    """The devices, process after process."""
    each = [jax.local_devices(process) for process in range(jax.process_count())]
    return Mesh(np.array([device for devices in each for device in devices[: len(devices) - _LEFT[0]]]), (LEARNERS,))


@functools.cache
def _own_mesh() -> Mesh:
    return Mesh(np.array(mesh().local_devices), (LEARNERS,))


def home() -> Device:
    """The first device of the row that is this process's."""
    return mesh().local_devices[0]


def on_each(tree: T) -> T:
    """A copy of everything on each device; each process has it already."""
    return _placed(tree, P())


def on_one(tree: T, device: Device) -> T:
    """The same on one device: what stands on each, where it stands there already, else a copy."""

    def of_leaf(leaf: jax.Array) -> jax.Array:
        for shard in leaf.addressable_shards:
            if shard.device == device and shard.data.shape == leaf.shape:
                return shard.data
        return jax.device_put(leaf, device)

    return jax.tree.map(of_leaf, tree)


def shared_out(tree: T) -> T:
    """Rows of every leaf, which each process has all of, shared out among the devices.

    Raises `InputError` where they do not come out even.
    """
    for leaf in jax.tree.leaves(tree):
        check_even(len(leaf))
    return _placed(tree, P(LEARNERS))


def _placed(tree: T, spec: P) -> T:
    sharding = NamedSharding(mesh(), spec)
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def of_leaf(leaf: Any) -> jax.Array:
        if isinstance(leaf, Tracer):  # where a checkpoint's shapes are asked for: it is placed nowhere
            return leaf
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return jax.jit(lambda leaf: leaf, out_shardings=sharding)(leaf)
        if _is_key(leaf):
            return jax.random.wrap_key_data(of_leaf(jax.random.key_data(leaf)))
        whole = np.asarray(leaf)  # not compared between the processes, as `jax.device_put` would: banks are large
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(of_leaf, tree)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def own_shared_out(tree: T) -> T:
    """The same of rows that this process has, and the others theirs: together, in the processes' order, they are all.

    Raises `InputError` where they do not come out even.
    """
    if jax.process_count() == 1:
        return shared_out(tree)
    count = jax.process_count()

    def of_leaf(leaf: jax.Array) -> jax.Array:
        if _is_key(leaf):
            return jax.random.wrap_key_data(of_leaf(jax.random.key_data(leaf)))
        check_even(count * len(leaf))
        parts = jax.device_put(leaf, NamedSharding(_own_mesh(), P(LEARNERS))).addressable_shards
        whole = (count * len(leaf), *leaf.shape[1:])
        sharding = NamedSharding(mesh(), P(LEARNERS))
        return jax.make_array_from_single_device_arrays(whole, sharding, [part.data for part in parts])

    return jax.tree.map(of_leaf, tree)


def own_part(tree: T) -> T:
    """Of what is shared out, the rows that this process has, in one piece."""
    if jax.process_count() == 1:
        return tree

    def of_leaf(leaf: jax.Array) -> jax.Array:
        if _is_key(leaf):
            return jax.random.wrap_key_data(of_leaf(jax.random.key_data(leaf)))
        parts = sorted(leaf.addressable_shards, key=lambda part: part.index[0].start or 0)
        return jnp.concatenate([jax.device_put(part.data, home()) for part in parts])

    return jax.tree.map(of_leaf, tree)


def fetched(tree: T) -> T:
    """The whole of everything, on each process: what is shared out comes to the host, all else is left as it is.

    All processes call it at the same place.
    """
    if jax.process_count() == 1:
        return tree

    def of_leaf(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
            return leaf
        if _is_key(leaf):
            return jax.random.wrap_key_data(of_leaf(jax.random.key_data(leaf)))
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(of_leaf, tree)


def agreed(number: int) -> int:
    """The first process's number, in all of them. All processes call it at the same place."""
    return number if jax.process_count() == 1 else int(multihost_utils.broadcast_one_to_all(np.int64(number)))


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
    """The sum over all learners, inside of `over_learners`: one exchange, however many leaves there are.

    Between processes it is the number of exchanges that costs, not what small ones carry.
    """
    if mesh().size == 1:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    summed: dict[int, Any] = {}
    for dtype in {leaf.dtype for leaf in leaves}:
        those = [number for number, leaf in enumerate(leaves) if leaf.dtype == dtype]
        row = jax.lax.psum(jnp.concatenate([leaves[number].ravel() for number in those]), LEARNERS)
        ends = np.cumsum([leaves[number].size for number in those])
        for number, part in zip(those, jnp.split(row, ends[:-1]), strict=True):
            summed[number] = part.reshape(leaves[number].shape)
    return jax.tree.unflatten(structure, [summed[number] for number in range(len(leaves))])


def most(tree: T) -> T:
    """The largest over all learners, inside of `over_learners`."""
    return tree if mesh().size == 1 else jax.lax.pmax(tree, LEARNERS)


def learner() -> Any:
    """Which learner this is, inside of `over_learners`."""
    return 0 if mesh().size == 1 else jax.lax.axis_index(LEARNERS)
