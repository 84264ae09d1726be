"""Small scenarios of random numbers, of differing sizes, for tests of the on-disk format."""

from pathlib import Path

import numpy as np

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.compile.padding import from_arrays, shapes
from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import read_manifest, read_scenarios
from drivetrain.types import Scenario

BOOLEAN = ("map.line_judged", "log.agents.valid")
FLOATING = {
    "map.elements",
    "map.stations",
    "map.lines",
    "map.light_position",
    "log.agents.position",
    "log.agents.heading",
    "log.agents.velocity",
    "log.bodies.length",
    "log.bodies.width",
    "egos.route.line_station",
    "egos.log_distance",
}


def sizes(seed: int) -> Capacity:
    """A capacity that differs with the seed."""
    return Capacity(3 + seed, 10, 5 + 2 * seed, 9 - seed, 4, 2, 2, 12 + seed, 3, 2)


def read_one(folder: Path, name: str) -> Scenario:
    """The scenario of one recording of a dataset."""
    manifest = read_manifest(folder)
    (wanted,) = [entry for entry in manifest.recordings if entry.name == name]
    return next(read_scenarios(folder, manifest, [wanted]))


def scenario(seed: int) -> Scenario:
    """A scenario whose numbers mean nothing."""
    numbers = np.random.default_rng(seed)
    arrays = {}
    for path, shape in shapes(sizes(seed)).items():
        whole = numbers.integers(0, 9, shape)
        kind = np.bool_ if path in BOOLEAN else np.float32 if path in FLOATING else np.int32
        kind = np.uint32 if path == "egos.route.flags" else kind
        arrays[path] = np.asarray(
            whole + 0.25 if kind is np.float32 else whole % 2 if kind is np.bool_ else whole, kind
        )
    return from_arrays(arrays)


def entry(name: str, split: str = "train", group: str = "") -> Entry:
    """What a manifest says of one, with two egos that were not checked yet."""
    egos = (EgoEntry(11, 1, 0, 9), EgoEntry(12, 1, 2, 8))
    return Entry(name, f"{name}.xml", group or f"g-{name}", split, "drawn", "CC0", 10, {"car": 2}, {}, {}, egos)
