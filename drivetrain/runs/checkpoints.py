"""Checkpoints that survive: written beside, renamed, digested, and never loaded when a bit of them has changed.

    checkpoints/000000120.safetensors    every array of the tree by its path, and the caller's own JSON in the header
    checkpoints/000000120.sha256         the digest; renamed into place last, so it is the mark of a finished save

A save that was killed leaves no digest and is ignored. A file that does not match its digest is named and passed over.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from drivetrain.atomic import write_atomically
from drivetrain.types import InputError

KEEP = 3
"""Finished checkpoints that stay; older ones are removed after each save."""


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


def _to_numpy(leaf: Any) -> np.ndarray:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.array(leaf, order="C")


def pack_tree(tree: Any, notes: dict[str, Any]) -> bytes:
    """The content of a file: every array of a pytree by its path, and a small JSON-able dictionary."""
    return save({name: _to_numpy(leaf) for name, leaf in _named_leaves(tree)}, metadata={"notes": json.dumps(notes)})


def save_checkpoint(folder: Path, step: int, tree: Any, notes: dict[str, Any], keep: int | None = KEEP) -> Path:
    """Save a pytree of arrays as step `step`, with a small JSON-able dictionary; returns the file.

    All but the newest `keep` are removed; None: they stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = pack_tree(tree, notes)
    file = folder / f"{step:09d}.safetensors"
    write_atomically(file, data)
    write_atomically(file.with_suffix(".sha256"), hashlib.sha256(data).hexdigest().encode())
    for old in [] if keep is None else finished(folder)[keep:]:
        old.with_suffix(".sha256").unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    for leftover in folder.glob(".*.safetensors.*"):
        leftover.unlink(missing_ok=True)
    return file


def finished(folder: Path) -> list[Path]:
    """The checkpoints whose save was completed, newest first."""
    files = sorted(folder.glob("*.safetensors"), reverse=True)
    return [file for file in files if file.with_suffix(".sha256").is_file()]


def check(file: Path) -> None:
    """Raise `InputError` unless the file has the digest it was saved with."""
    try:
        wanted = file.with_suffix(".sha256").read_text().strip()
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror} (use another checkpoint)") from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise InputError(f"{file}: sha256: the file has changed since it was saved (use an older checkpoint)")


def load_checkpoint(file: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """Restore a pytree of the structure, shapes and dtypes of `like`, and the notes saved beside it.

    Raises:
        InputError: the digest does not match, or the tree is of another shape.
    """
    check(file)
    return read_tree(file, like)


def read_tree(file: Path, like: Any) -> tuple[Any, dict[str, Any]]:
    """`load_checkpoint` of a file whose digest was compared. Raises `InputError` where the tree is of another shape."""
    leaves, treedef = jax.tree_util.tree_flatten(like)
    restored = []
    try:
        with safe_open(file, framework="numpy") as stored:
            names = set(stored.keys())
            for (name, _), leaf in zip(_named_leaves(like), leaves, strict=True):
                if name not in names:
                    raise InputError(f"{file}: {name}: missing (the checkpoint belongs to another configuration)")
                restored.append(_restore(file, name, stored.get_tensor(name), leaf))
            notes = json.loads((stored.metadata() or {}).get("notes", "{}"))
    except SafetensorError as error:
        raise InputError(f"{file}: not a checkpoint: {error} (use another checkpoint)") from error
    return jax.tree_util.tree_unflatten(treedef, restored), notes


def _restore(file: Path, name: str, array: np.ndarray, leaf: Any) -> Any:
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    wanted = jax.eval_shape(jax.random.key_data, leaf) if is_key else leaf
    if array.shape != tuple(wanted.shape) or array.dtype != wanted.dtype:
        raise InputError(
            f"{file}: {name}: {array.dtype}{list(array.shape)} where the configuration has "
            f"{wanted.dtype}{list(wanted.shape)} (the checkpoint belongs to another configuration)"
        )
    # A copy of the device's own: buffers that alias the file's memory cannot be donated.
    owned = jax.numpy.array(array, copy=True)
    return jax.random.wrap_key_data(owned) if is_key else owned


def read_notes(file: Path) -> dict[str, Any]:
    """The notes of a checkpoint whose digest holds; raises `InputError` otherwise."""
    check(file)
    try:
        with safe_open(file, framework="numpy") as stored:
            return json.loads((stored.metadata() or {}).get("notes", "{}"))
    except SafetensorError as error:
        raise InputError(f"{file}: not a checkpoint: {error} (use another checkpoint)") from error


def restore_newest(folder: Path, like: Callable[[], Any]) -> tuple[Any, dict[str, Any], Path] | None:
    """The newest good checkpoint, its notes and its file; damaged ones are named and passed over.

    `like` gives a tree of its structure, shapes and dtypes, of which nothing is computed. Raises as `load_checkpoint`.
    """
    for file, reason in newest_good(folder):
        if reason:
            print(f"drivetrain: {reason}; going on from an older one", file=sys.stderr)
            continue
        return *load_checkpoint(file, jax.eval_shape(like)), file
    return None


def newest_good(folder: Path) -> Iterator[tuple[Path, str]]:
    """Finished checkpoints, newest first, each with the reason why it cannot be used, or an empty string."""
    for file in finished(folder):
        try:
            check(file)
        except InputError as error:
            yield file, str(error)
        else:
            yield file, ""
