"""Waymo Open Motion shards (TFRecord): Scenario messages and tf.Examples, told apart record by record.

`find` lists records, `read` reads one: an item is a shard's path and a record's number, `path#00017`. Neither
TensorFlow nor Waymo's packages are needed. The official split is read from the shard's name or its folder's:
training, validation or testing.
"""

import os
import re

import numpy as np

from drivetrain.data.readers import tfrecord
from drivetrain.data.readers.hardened_xml import refuse
from drivetrain.data.readers.local_frame import centred
from drivetrain.data.readers.waymo import example as waymo_example
from drivetrain.data.readers.waymo import scenario as waymo_scenario
from drivetrain.data.readers.waymo.messages import parse
from drivetrain.data.readers.waymo.road import build
from drivetrain.data.readers.waymo.tracks import LICENCE, SOURCE, step_of, tracks_of
from drivetrain.data.recordings.recording import Recording

SPLITS = {"training": "train", "validation": "val", "testing": "test"}


def find(source: str) -> list[str]:
    """The records of a shard, of all shards below a folder (told by `.tfrecord` in their names), or one record."""
    return tfrecord.items(source)


def read(file: str) -> Recording:
    """Read one record, named by its item. Raises `InputError` (one line) on anything but a record of the dataset."""
    data = tfrecord.read_record(file)
    notes: dict[str, int] = {}
    columns = waymo_example.read_columns(file, data)
    if columns is not None:
        id, times = waymo_example.read_id(file, columns), waymo_example.read_times(file, columns)
        states, marked = waymo_example.read_states(file, columns), waymo_example.read_ego(file, columns)
    else:
        scenario = parse(file, "Scenario", data)
        id, times = scenario.id, np.array(scenario.times, np.float64)
        states, marked = waymo_scenario.read_states(file, scenario), waymo_scenario.read_ego(scenario, notes)
    tracks = tracks_of(file, states, notes)
    dt = step_of(file, times)
    tracks, origin = centred(f"{file}: tracks", tracks)
    if columns is not None:
        drawing = waymo_example.read_drawing(file, columns, origin, len(times), notes)
    else:
        drawing = waymo_scenario.read_drawing(file, scenario, origin, notes)
    roads = build(file, drawing)
    name = _name(file, id)
    return Recording(
        name=name,
        file=file,
        dt=dt,
        tracks=tracks,
        lanes=roads.lanes,
        control_lines=roads.control_lines,
        lights=roads.lights,
        features=roads.features,
        group=name,
        split=_split(file),
        source=SOURCE,
        licence=LICENCE,
        marked=tuple(id for id in marked if id in tracks.id),
        origin=(float(origin[0]), float(origin[1])),
        notes=notes | roads.notes,
    )


def _name(item: str, id: bytes) -> str:
    """The scenario's id, which is unique in the dataset; without one, the shard's name and the record's number."""
    if not id:
        return os.path.basename(item)
    text = id.decode("ascii", "replace")
    if len(text) > 100 or not re.fullmatch(r"[\w.:-]+", text, re.ASCII):
        refuse(f"{item}: scenario_id", "not a short word", "restore the record")
    return text


def _split(item: str) -> str:
    """The official split; nothing where the names say none."""
    folder, shard = os.path.split(os.path.abspath(tfrecord.split(item)[0]))
    for name in (shard, os.path.basename(folder)):
        for word, split in SPLITS.items():
            if word in name:
                return split
    return ""
