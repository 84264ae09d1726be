"""Checkpoints: what was saved comes back to the bit, and what was damaged is named and never loaded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.runs import checkpoints
from drivetrain.types import InputError


def tree(seed: int):
    key = jax.random.key(seed)
    return {"weights": jax.random.normal(key, (3, 4)), "step": jnp.asarray(seed, jnp.int32), "key": key}


def test_what_was_saved_comes_back_to_the_bit(tmp_path):
    saved = tree(7)
    file = checkpoints.save_checkpoint(tmp_path, 12, saved, {"stage": "bc"})
    restored, notes = checkpoints.load_checkpoint(file, tree(0))
    assert notes == {"stage": "bc"} == checkpoints.read_notes(file)
    assert np.asarray(restored["weights"]).tobytes() == np.asarray(saved["weights"]).tobytes()
    assert int(restored["step"]) == 7
    assert jnp.array_equal(jax.random.key_data(restored["key"]), jax.random.key_data(saved["key"]))


@pytest.mark.parametrize("place", [0, 9, 60, 200, -1])
def test_a_flipped_bit_is_named_and_not_loaded(tmp_path, place):
    file = checkpoints.save_checkpoint(tmp_path, 1, tree(1), {})
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match=file.name):
        checkpoints.load_checkpoint(file, tree(0))
    with pytest.raises(InputError, match=file.name):
        checkpoints.read_notes(file)


def test_the_newest_good_one_is_found_behind_a_damaged_and_an_unfinished_one(tmp_path):
    good = checkpoints.save_checkpoint(tmp_path, 1, tree(1), {})
    damaged = checkpoints.save_checkpoint(tmp_path, 2, tree(2), {})
    damaged.write_bytes(damaged.read_bytes()[:-3])
    unfinished = checkpoints.save_checkpoint(tmp_path, 3, tree(3), {})
    unfinished.with_suffix(".sha256").unlink()
    found = list(checkpoints.newest_good(tmp_path))
    assert [file for file, reason in found if not reason] == [good]
    assert [file for file, reason in found if reason] == [damaged]


def test_old_checkpoints_are_removed_and_the_newest_stay(tmp_path):
    for step in range(6):
        checkpoints.save_checkpoint(tmp_path, step, tree(step), {})
    assert [int(file.stem) for file in checkpoints.finished(tmp_path)] == [5, 4, 3]
    assert len(list(tmp_path.iterdir())) == 6


def test_another_configuration_is_refused_by_the_name_of_the_array(tmp_path):
    file = checkpoints.save_checkpoint(tmp_path, 1, tree(1), {})
    with pytest.raises(InputError, match=r"weights.*\[3, 4\].*\[5, 4\]"):
        checkpoints.load_checkpoint(file, tree(0) | {"weights": jnp.zeros((5, 4))})
    with pytest.raises(InputError, match="extra.*missing"):
        checkpoints.load_checkpoint(file, tree(0) | {"extra": jnp.zeros(2)})
