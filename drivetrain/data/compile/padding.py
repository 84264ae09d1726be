"""A scenario as named arrays and back, and its padding to a capacity.

Names and shapes are read off the nouns themselves: a field's annotation says which letters its axes have.
"""

import dataclasses
import functools
import typing
from typing import Any

import numpy as np

from drivetrain.data.compile.capacity import Capacity
from drivetrain.types import InputError, Scenario

INDICES = frozenset(
    {
        "map.station_lane",
        "map.lane_successors",
        "map.lane_neighbours",
        "egos.track",
        "egos.route.stations",
        "egos.route.lines",
    }
)
"""Arrays of indices: padded with −1. Everything else is padded with zeros."""

_LETTERS = {
    "A": "agents",
    "T": "steps",
    "*time": "steps",
    "R": "elements",
    "Q": "stations",
    "N": "lanes",
    "S": "lines",
    "E": "egos",
    "P": "route_stations",
    "L": "route_lanes",
    "K": "route_lines",
}
HEIGHTS = frozenset({"map.element_height", "map.station_height", "map.line_height", "log.agents.height"})
"""Arrays that stand only in datasets with levels that cross; a scenario without them lies on one level, 0."""
_TYPES = {"f": np.dtype(np.float32), "i": np.dtype(np.int32), "u": np.dtype(np.uint32), "b": np.dtype(np.bool_)}


def to_arrays(scenario: Scenario) -> dict[str, np.ndarray]:
    """Every array of a scenario by its dotted path, in 32 bits; heights only where it has some."""
    arrays = {}
    for path in _annotations(Scenario):
        value: Any = scenario
        for name in path.split("."):
            value = getattr(value, name)
        if value is None:
            continue
        array = np.asarray(value)
        arrays[path] = np.ascontiguousarray(array.astype(_TYPES[array.dtype.kind])).reshape(array.shape)
    return arrays


def from_arrays(arrays: dict[str, np.ndarray]) -> Scenario:
    """The scenario whose arrays these are (all of them: `pad` has checked)."""
    return _build(Scenario, arrays, "")


def pad(arrays: dict[str, np.ndarray], capacity: Capacity, where: str) -> dict[str, np.ndarray]:
    """Arrays enlarged to the capacity's shapes. Raises `InputError`, starting with `where`, on a misfit."""
    expected = shapes(capacity)
    flat = {path: np.zeros((0,) * len(expected[path]), np.float32) for path in HEIGHTS & expected.keys()}
    arrays = flat | arrays
    if arrays.keys() != expected.keys():
        odd = ", ".join(sorted(arrays.keys() ^ expected.keys()))
        raise InputError(f"{where}: {odd}: missing or unknown array (convert the dataset again)")
    padded = {}
    for path, shape in expected.items():
        array = arrays[path]
        if array.shape != shape:
            if array.ndim != len(shape) or any(has > room for has, room in zip(array.shape, shape, strict=True)):
                raise InputError(
                    f"{where}: {path}: shape {array.shape} does not fit {shape} (convert the dataset again)"
                )
            larger = np.full(shape, -1, array.dtype) if path in INDICES else np.zeros(shape, array.dtype)
            larger[tuple(slice(size) for size in array.shape)] = array
            array = larger
        padded[path] = array
    return padded


def extent(arrays: dict[str, np.ndarray]) -> Capacity:
    """The least capacity that holds these arrays."""
    sizes = dict.fromkeys(_LETTERS.values(), 0)
    for path, letters in _axes().items():
        if path not in arrays:
            continue
        for letter, size in zip(letters, arrays[path].shape, strict=True):
            if not letter.isdigit():
                sizes[_LETTERS[letter]] = max(sizes[_LETTERS[letter]], size)
    return Capacity(**sizes, levels=int(not HEIGHTS.isdisjoint(arrays)))


@functools.cache
def shapes(capacity: Capacity) -> dict[str, tuple[int, ...]]:
    """The shape of every array of a scenario of this capacity, without heights where it has no levels."""
    return {
        path: tuple(int(letter) if letter.isdigit() else getattr(capacity, _LETTERS[letter]) for letter in letters)
        for path, letters in _axes().items()
        if capacity.levels or path not in HEIGHTS
    }


def _axes() -> dict[str, list[str]]:
    """Dotted path → letters of its axes; a route has the axis of egos in front."""
    result = {}
    for path, axes in _annotations(Scenario).items():
        letters = [axis for axis in axes.split() if axis != "*batch" and (axis != "*time" or path.startswith("log."))]
        result[path] = ["E", *letters] if path.startswith("egos.route.") else letters
    return result


@functools.cache
def _annotations(cls: Any, prefix: str = "") -> dict[str, str]:
    """Dotted path → letters of the axes, for every array below a record class."""
    letters = {}
    for field in dataclasses.fields(cls):
        inner: Any = field.type
        if dataclasses.is_dataclass(inner):
            letters |= _annotations(inner, f"{prefix}{field.name}.")
        else:
            letters[prefix + field.name] = typing.get_args(inner)[0].dim_str  # a union of array types, of one shape
    return letters


def _build(cls: Any, arrays: dict[str, np.ndarray], prefix: str) -> Any:
    """A record from its arrays, past the constructor: routes carry an axis of egos in front of the documented shape."""
    value = object.__new__(cls)
    for name, inner in _fields(cls):
        path = prefix + name
        object.__setattr__(value, name, arrays.get(path) if inner is None else _build(inner, arrays, f"{path}."))
    return value


@functools.cache
def _fields(cls: Any) -> tuple[tuple[str, Any], ...]:
    """Fields of a record class by name, with the record class of each; None: an array."""
    return tuple(
        (field.name, field.type if dataclasses.is_dataclass(field.type) else None) for field in dataclasses.fields(cls)
    )
