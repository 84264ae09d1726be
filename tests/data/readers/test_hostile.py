"""Every reader against every kind of broken input: one line that names file and field, nothing written, little memory.

The rows are the formats (twice where one has two layouts), the columns what may be wrong with a file, whatever is in
it, and what may be wrong with what a format says. A format that cannot be wrong in some way says why, in LACKS.
"""

import json
import lzma
import math
import os
import random
import shutil
import signal
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.numpy
import waymo_records
from fixtures_drawn import drive

from drivetrain.data.readers import READERS
from drivetrain.data.recordings.recording_files import write_recording
from drivetrain.data.store.converting import convert
from drivetrain.data.store.shards import read_manifest
from drivetrain.types import InputError
from tests.data.readers import test_argoverse as av2
from tests.data.readers import test_argoverse_sensor as sensor
from tests.data.readers import test_commonroad as cr
from tests.data.readers import test_lanelet2 as ll2
from tests.data.readers import test_nocturne as noc
from tests.data.readers import test_opendrive as odr
from tests.data.readers import test_scenarionet as sn
from tests.data.readers import test_waymo as wod
from tests.data.recordings.test_recording_files import recording

MEMORY = 48 << 20  # bytes; what a hostile file of some kilobytes may cost
SECONDS = 30.0

Write = Callable[[Path], str]
"""Writes an item into a folder, and names it."""
NOT_FINITE, TWO_IDS, EMPTY, BACKWARDS, ABSURD, AWAY = (
    "not finite",
    "two ids",
    "an empty scene",
    "time backwards",
    "absurd length",
    "a name that leads away",
)


class Row(NamedTuple):
    """A format, a sound file of it, and for each kind of spoilt file a word that its refusal holds."""

    format: str
    sound: Write
    spoilt: dict[str, tuple[Write, str]]


def text_file(name: str, text: str) -> Write:
    return lambda folder: ll2.write(folder, text, name)


def arrow(boxes=None, path=None, rows=None) -> Write:
    def write(folder: Path) -> str:
        file = sensor.write(folder, boxes, path)
        if rows is not None:
            import pyarrow.feather

            pyarrow.feather.write_feather(pyarrow.feather.read_table(file).slice(0, rows), file)
        return file

    return write


def interaction(rows: list[str]) -> Write:
    def write(folder: Path) -> str:
        table = ll2.layout(folder, [])
        Path(table).write_text("\n".join(rows) + "\n")
        return table + "#00000"

    return write


def packed(change=None, **fields) -> Write:
    """A file of the project's own, with some of its JSON or its arrays changed."""

    def write(folder: Path) -> str:
        path = folder / "one.recording.xz"
        write_recording(path, recording())
        data = lzma.decompress(path.read_bytes())
        size = int.from_bytes(data[:8], "little")
        text = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["recording"])
        arrays = safetensors.numpy.load(data)
        arrays |= {} if change is None else change(arrays)
        data = safetensors.numpy.save(arrays, {"recording": json.dumps(text | fields)})
        path.write_bytes(lzma.compress(data))
        return str(path)

    return write


def drawn(folder: Path) -> str:
    write_recording(folder / "one.recording.xz", drive("one"))
    return str(folder / "one.recording.xz")


def record(message: bytes) -> Write:
    return lambda folder: waymo_records.write(folder / "a.tfrecord", message) + "#00000"


def emptied(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"points": arrays["points"][:0], "counts": arrays["counts"][:0], "states": arrays["states"][:0]}


DRIVE = "".join(cr.state("state", step, 5.0 + 0.5 * step, 2.0) for step in range(1, 60))
LIGHT = ["tl_states", "104", "time_index"]
ROWS = {
    "argoverse2": Row(
        "argoverse2",
        av2.write,
        {
            EMPTY: (lambda folder: av2.write(folder, av2.changed((None, "object_type"), "background")), "object_type"),
            BACKWARDS: (lambda folder: av2.write(folder, av2.changed((3, "timestep"), -1)), "timestep"),
            ABSURD: (lambda folder: av2.write(folder, av2.changed((3, "timestep"), 2**40)), "timestep"),
        },
    ),
    "argoverse2-sensor": Row(
        "argoverse2-sensor",
        arrow(),
        {
            EMPTY: (arrow(rows=0), "no rows"),
            BACKWARDS: (arrow(path=sensor.poses()[::-1]), "timestamp_ns"),
            ABSURD: (
                arrow(sensor.changed(sensor.annotations(), (0, "timestamp_ns"), sensor.START + 2**61)),
                "timestamp_ns",
            ),
        },
    ),
    "commonroad": Row(
        "commonroad",
        text_file("scene.xml", cr.document(cr.lanelet(1, x1=90.0) + cr.obstacle(2, states=DRIVE))),
        {
            NOT_FINITE: (text_file("a.xml", cr.document(cr.HOSTILE["not a number"][0])), "position"),
            TWO_IDS: (text_file("a.xml", cr.document(cr.HOSTILE["two tracks, one id"][0])), "dynamicObstacle 2"),
            EMPTY: (text_file("a.xml", cr.document(cr.HOSTILE["no road"][0])), "lanelet: none"),
            BACKWARDS: (text_file("a.xml", cr.document(cr.GOOD, dt="-0.1")), "timeStepSize"),
            ABSURD: (text_file("a.xml", cr.document(cr.HOSTILE["a step of 1e9"][0])), "time"),
            AWAY: (text_file("...xml", cr.document(cr.GOOD)), "name"),
        },
    ),
    "lanelet2, tracks": Row(
        "lanelet2",
        interaction([ll2.HEADER, *ll2.ROWS]),
        {
            NOT_FINITE: (interaction(ll2.TABLES["not finite"][0]), ": x: nan"),
            TWO_IDS: (interaction(ll2.TABLES["a row twice"][0]), "frame_id"),
            EMPTY: (interaction(ll2.TABLES["no rows"][0]), "no rows"),
            BACKWARDS: (interaction(ll2.TABLES["time going backwards"][0]), "timestamp_ms"),
            ABSURD: (interaction(ll2.TABLES["a frame of next year"][0]), "frame_id"),
        },
    ),
    "lanelet2, map": Row(
        "lanelet2",
        text_file("map.osm", ll2.GOOD),
        {
            NOT_FINITE: (text_file("a.osm", ll2.HOSTILE["not a number"][0]), "local_x"),
            TWO_IDS: (text_file("a.osm", ll2.HOSTILE["two nodes, one id"][0]), "node"),
            EMPTY: (text_file("a.osm", ll2.HOSTILE["nothing"][0]), "node: none"),
            ABSURD: (text_file("a.osm", ll2.HOSTILE["a huge id"][0]), "node: id"),
            AWAY: (text_file("...osm", ll2.GOOD), "name"),
        },
    ),
    "nocturne": Row(
        "nocturne",
        lambda folder: noc.write(folder, noc.crossing()),
        {
            NOT_FINITE: (
                text_file("a.json", json.dumps(noc.alone()).replace('"x": 5000.0', '"x": 1e999')),
                "objects[0]",
            ),
            TWO_IDS: (text_file("a.json", noc.HOSTILE["two ids"]), "objects"),
            EMPTY: (text_file("a.json", noc.HOSTILE["zero agents"]), "objects"),
            BACKWARDS: (text_file("a.json", noc.spoil(LIGHT, list(range(30, -5, -1)))), "time_index"),
            ABSURD: (
                text_file("a.json", json.dumps(noc.alone()).replace('"x": 5000.0', f'"x": {10**400}')),
                "objects[0]: position",
            ),
            AWAY: (text_file("...json", json.dumps(noc.crossing())), "name"),
        },
    ),
    "opendrive": Row(
        "opendrive",
        text_file("map.xodr", odr.document(odr.GOOD)),
        {
            NOT_FINITE: (text_file("a.xodr", odr.document(odr.HOSTILE["not a number"][0])), "geometry: x"),
            TWO_IDS: (text_file("a.xodr", odr.document(odr.HOSTILE["two roads, one id"][0])), "road '1'"),
            EMPTY: (text_file("a.xodr", odr.document("")), "road: none"),
            ABSURD: (text_file("a.xodr", odr.document(odr.HOSTILE["an absurd length"][0])), "length"),
            AWAY: (text_file("...xodr", odr.document(odr.GOOD)), "name"),
        },
    ),
    "recording": Row(
        "recording",
        drawn,
        {
            NOT_FINITE: (packed(dt=math.nan), "dt"),
            TWO_IDS: (packed(lambda arrays: {"id": arrays["id"] * 0}), ": id: "),
            EMPTY: (packed(emptied, lanes=[], lights=[], control_lines=[], features=[]), "lane"),
            BACKWARDS: (packed(dt=-0.1), "dt"),
            ABSURD: (packed(steps=10**30), "steps"),
            AWAY: (packed(name="../../away"), "name"),
        },
    ),
    "scenarionet": Row(
        "scenarionet",
        lambda folder: sn.write(folder, sn.waymo()),
        {
            NOT_FINITE: (lambda folder: sn.write(folder, sn.alone(sn.LEFT_OUT["not finite"])), "track"),
            TWO_IDS: (lambda folder: sn.write(folder, sn.HOSTILE["two ids"]), "track"),
            EMPTY: (lambda folder: sn.write(folder, sn.HOSTILE["empty scene"]), "tracks"),
            BACKWARDS: (lambda folder: sn.write(folder, sn.HOSTILE["time backwards"]), "metadata: ts"),
            ABSURD: (lambda folder: sn.write(folder, sn.HOSTILE["absurd length"]), "length"),
        },
    ),
    "waymo, Scenario": Row(
        "waymo",
        record(waymo_records.scenario()),
        {
            NOT_FINITE: (record(waymo_records.scenario(wod.alone)), "track 7"),
            TWO_IDS: (record(waymo_records.scenario(wod.HOSTILE_SCENARIOS["two ids"])), "tracks"),
            EMPTY: (record(waymo_records.scenario(wod.HOSTILE_SCENARIOS["no tracks"])), "tracks"),
            BACKWARDS: (record(waymo_records.scenario(wod.HOSTILE_SCENARIOS["time goes back"])), "timestamps"),
            ABSURD: (record(b"\x12" + waymo_records.varint(2**60) + b"a"), "Scenario message"),
            AWAY: (record(waymo_records.scenario(wod.replaced(5, b"../../away"))), "scenario_id"),
        },
    ),
    "waymo, tf.Example": Row(
        "waymo",
        record(waymo_records.example()),
        {
            NOT_FINITE: (record(waymo_records.example(wod.HOSTILE_EXAMPLES["nan x"])), "track"),
            TWO_IDS: (record(waymo_records.example(wod.HOSTILE_EXAMPLES["two ids"])), "tracks"),
            EMPTY: (record(waymo_records.example(wod.HOSTILE_EXAMPLES["no objects"])), "state/"),
            BACKWARDS: (record(waymo_records.example(wod.HOSTILE_EXAMPLES["time goes back"])), "timestamps"),
            ABSURD: (record(b"\x0a" + waymo_records.varint(2**60) + b"a"), "message"),
            AWAY: (record(waymo_records.example({"scenario/id": [b"../../away"]})), "scenario_id"),
        },
    ),
}
LEAVES = "an object with an odd row is left out, and counted (test_argoverse, test_argoverse_sensor)"
LACKS = {
    ("argoverse2", NOT_FINITE): LEAVES,
    ("argoverse2", TWO_IDS): LEAVES,
    ("argoverse2-sensor", NOT_FINITE): LEAVES,
    ("argoverse2-sensor", TWO_IDS): LEAVES,
    ("argoverse2", AWAY): "its name begins with scenario_, and is that of a file",
    ("argoverse2-sensor", AWAY): "its name is that of a folder",
    ("lanelet2, tracks", AWAY): "its name is a folder's, with a table's and a clip's number",
    ("scenarionet", AWAY): "its name begins with sd_ or is a number, and is that of a file",
    ("lanelet2, map", BACKWARDS): "a map has no time",
    ("opendrive", BACKWARDS): "a map has no time",
}
CELLS = (NOT_FINITE, TWO_IDS, EMPTY, BACKWARDS, ABSURD, AWAY)


def path_of(item: str) -> Path:
    """The file of an item."""
    return Path(item.rpartition("#")[0] or item) if not Path(item).exists() else Path(item)


@contextmanager
def bounded() -> Iterator[None]:
    """What happens within takes little memory, and ends."""
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError()))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def refusal(row: Row, item: str, folder: Path) -> str:
    """The one line with which a file is refused by a conversion that leaves nothing behind."""
    before = sorted(folder.rglob("*"))
    around = sorted(folder.parent.iterdir())
    with pytest.raises(InputError) as caught:
        convert(row.format, [item], folder / "out")
    assert sorted(folder.rglob("*")) == before and sorted(folder.parent.iterdir()) == around
    line = str(caught.value)
    assert line.startswith(str(folder)) and "\n" not in line and len(line) < 500 and line.endswith(")")
    assert "report it" not in line, "nobody foresaw this"
    return line


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, Path]:
    """A folder with a sound file for each row."""
    pytest.importorskip("pyarrow")
    folders = {name: tmp_path_factory.mktemp("sound") for name in ROWS}
    return folders | {f"item of {name}": Path(row.sound(folders[name])) for name, row in ROWS.items()}


def copied(sound: dict[str, Path], name: str, folder: Path) -> str:
    """A row's sound item in a folder of one's own."""
    shutil.copytree(sound[name], folder, dirs_exist_ok=True)
    return str(folder / sound[f"item of {name}"].relative_to(sound[name]))


def damage(path: Path, how: str) -> None:
    if how == "truncated":
        os.truncate(path, path.stat().st_size // 2 - 1)
    elif how == "empty":
        os.truncate(path, 0)
    elif how == "random bytes":
        path.write_bytes(random.Random(7).randbytes(4096))
    else:
        path.unlink()
        if how == "a folder":
            path.mkdir()
        elif how == "a pipe":
            os.mkfifo(path)


def test_every_cell_is_filled_or_explained():
    for name, row in ROWS.items():
        for cell in CELLS:
            assert (cell in row.spoilt) != ((name, cell) in LACKS), (name, cell)
    assert {row.format for row in ROWS.values()} == READERS.keys()


@pytest.mark.parametrize("how", ["truncated", "empty", "random bytes", "a folder", "a pipe", "gone"])
@pytest.mark.parametrize("name", ROWS)
def test_a_broken_file_gives_one_line(tmp_path, sound, name, how):
    item = copied(sound, name, tmp_path / "data")
    path = path_of(item)
    damage(path, how)
    with bounded(), pytest.raises(InputError) as caught:
        READERS[ROWS[name].format].read(item)
    line = str(caught.value)
    assert line.startswith(str(path)) and "\n" not in line and len(line) < 500 and line.endswith(")")
    refusal(ROWS[name], item, tmp_path / "data")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ROWS)
def test_a_spoilt_field_gives_one_line_that_names_it(tmp_path, name, cell):
    pytest.importorskip("pyarrow")
    if (name, cell) in LACKS:
        pytest.skip(LACKS[name, cell])
    (tmp_path / "data").mkdir()
    write, word = ROWS[name].spoilt[cell]
    item = write(tmp_path / "data")
    with bounded() if cell == ABSURD else nullcontext():
        line = refusal(ROWS[name], item, tmp_path / "data")
    assert word in line.replace(str(tmp_path), "")


@pytest.mark.parametrize("name", ROWS)
def test_a_file_that_may_not_be_read_gives_one_line(sound, name):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        item = copied(sound, name, Path(folder) / "data")
        os.chmod(Path(folder) / "data", 0o755)
        path_of(item).chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # nothing is forbidden to root
        try:
            with pytest.raises(InputError, match="cannot be read: .?Permission denied") as caught:
                READERS[ROWS[name].format].read(item)
        finally:
            os.seteuid(user)
        assert str(caught.value).startswith(str(path_of(item))) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ROWS)
def test_good_files_beside_broken_ones_are_converted(tmp_path, sound, name):
    copied(sound, name, tmp_path / "data" / "good")
    broken = {how: copied(sound, name, tmp_path / "data" / how) for how in ("truncated", "empty", "random bytes")}
    for how, item in broken.items():
        damage(path_of(item), how)
    summary = convert(ROWS[name].format, [str(tmp_path / "data")], tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert summary.recordings == len(manifest.recordings) == 1
    assert {str(path_of(skipped.file)) for skipped in summary.skipped} == {
        str(path_of(item)) for item in broken.values()
    }
    assert all(skipped.reason.startswith(str(path_of(skipped.file))) for skipped in summary.skipped)
