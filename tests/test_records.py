import dataclasses

import jax
import jax.numpy as jnp
import pytest

from drivetrain.records import component, margin, record


@record
class Pair:
    one: jax.Array
    other: jax.Array | None = None


@component
class Size:
    width: int = 3


def test_a_record_is_a_tree_of_its_fields_by_name():
    pair = jax.tree.map(lambda leaf: leaf + 1, Pair(jnp.zeros(2), jnp.ones(3)))
    assert pair.one.tolist() == [1.0, 1.0] and pair.other.tolist() == [2.0, 2.0, 2.0]
    paths = [path[0].name for path, _ in jax.tree_util.tree_flatten_with_path(pair)[0]]
    assert paths == ["one", "other"] and jax.tree.leaves(Pair(jnp.zeros(1))) == [jnp.zeros(1)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        pair.one = jnp.zeros(2)


def test_a_component_is_static():
    assert hash(Size()) == hash(Size(3)) and Size(4) != Size()
    assert jax.jit(lambda size: jnp.zeros(size.width), static_argnums=0)(Size()).shape == (3,)


def test_a_margin_says_whether_it_fails_a_drive():
    assert margin().metadata == {"margin": True, "failure": False} and margin(failure=True).metadata["failure"]
