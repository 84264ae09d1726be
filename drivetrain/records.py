"""How records and components are made: frozen dataclasses, pytrees of arrays or static and hashable."""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")
Array = jax.Array | np.ndarray


def margin(failure: bool = False) -> Any:
    """A field of `Events` that is a margin; a `failure` is what a drive must never do, whatever it is trained for."""
    return dataclasses.field(metadata={"margin": True, "failure": failure})


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, margin))
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass that is a pytree of all its fields.

    Rebuilding from leaves skips `__init__`, so that `vmap`, `scan` and `tree.map` may put batched arrays, masks or
    specifications where a constructor call is held to the documented shapes.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    names = tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]

    def flatten_with_keys(value):
        return tuple((jax.tree_util.GetAttrKey(name), getattr(value, name)) for name in names), None

    def flatten(value):
        return tuple(getattr(value, name) for name in names), None

    def unflatten(_, leaves):
        value = object.__new__(cls)
        for name, leaf in zip(names, leaves, strict=True):
            object.__setattr__(value, name, leaf)
        return value

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


@dataclass_transform(frozen_default=True)
def component(cls: type[T]) -> type[T]:
    """A frozen, hashable dataclass of static hyper-parameters: its own configuration, and a static argument of jit."""
    return dataclasses.dataclass(frozen=True)(cls)


replace = dataclasses.replace


def by_row(which: Array, new: T, old: T) -> T:
    """A tree of rows [n, …]: those of the new one where `which` [n], else those of the old one."""

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(which.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(chosen, new, old)
