"""A recording written and read back, and files that nobody wrote so."""

import json
import lzma
import random
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from drivetrain.data.recordings import recording_files, unpacking
from drivetrain.data.recordings.recording import ControlLine, Feature, Lane, Light, Recording, Tracks
from drivetrain.data.recordings.recording_files import read_recording, write_recording
from drivetrain.types import AgentKind, ControlKind, ElementKind, InputError, LightState


def recording(steps: int = 9) -> Recording:
    """Two lanes, a light, a crosswalk, two road users, of which one comes late."""
    time = np.arange(steps)
    position = np.zeros((2, steps, 2))
    position[0, :, 0] = 1.2345 * time - 40000.0
    position[1, :, 1] = -0.5 * time
    valid = np.ones((2, steps), bool)
    valid[1, :3] = False
    position[~valid] = 0.0
    tracks = Tracks(
        id=np.array([7, 2**40], np.int64),
        kind=np.array([AgentKind.TRUCK, AgentKind.PEDESTRIAN], np.int64),
        length=np.array([8.0, 0.5]),
        width=np.array([2.4, 0.6]),
        position=position,
        heading=np.where(valid, np.array([[3.1], [-1.5]]), 0.0),
        velocity=np.where(valid[..., None], np.array([12.345, -0.001]), 0.0),
        valid=valid,
    )
    left, right = np.array([[0.0, 2.0], [5.0, 2.5], [9.0, 2.0]]), np.array([[0.0, -1.0], [9.0, -1.0]])
    lanes = (
        Lane(3, left, right, (4,), (), None, 4, ElementKind.LINE_SOLID, ElementKind.LINE_DASHED, 13.89),
        Lane(4, left + 9.0, right + 9.0, (), (3,), 3, None, drivable=False),
    )
    return Recording(
        name="one",
        file="somewhere",
        dt=0.1,
        tracks=tracks,
        lanes=lanes,
        control_lines=(
            ControlLine(np.array([[9.0, 2.0], [9.0, -1.0]]), 3, ControlKind.LIGHT, 0),
            ControlLine(np.array([[0.0, 2.0], [0.0, -1.0]]), 3, ControlKind.STOP_SIGN),
        ),
        lights=(Light(0, np.array([LightState.RED] * 4 + [LightState.GREEN] * (steps - 4), np.int64), True, right[1]),),
        features=(Feature(ElementKind.CROSSWALK, np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 1.0]])),),
        group="there",
        split="val",
        source="a test",
        licence="none",
        marked=(7,),
        origin=(680000.0, 4900000.5),
        notes={"made_up": 3},
    )


def with_heights(given: Recording) -> Recording:
    """The first lane climbs, the second has no height; the crosswalk lies at −3 m; road users stand at 1.5 m."""
    first, second = given.lanes
    (walk,) = given.features
    return replace(
        given,
        lanes=(replace(first, height=np.array([0.0, 0.5, 1.25])), second),
        features=(replace(walk, height=np.full(4, -3.0)),),
        tracks=replace(given.tracks, height=np.where(given.tracks.valid, 1.5, 0.0)),
    )


def test_heights_are_kept_and_files_without_them_are_as_before(tmp_path):
    plain, high = tmp_path / "plain", tmp_path / "high"
    write_recording(plain, recording())
    write_recording(high, with_heights(recording()))
    read, given = read_recording(high), with_heights(recording())
    np.testing.assert_allclose(read.lanes[0].height, given.lanes[0].height, atol=1e-9)
    assert read.lanes[1].height is None
    np.testing.assert_allclose(read.features[0].height, -3.0)
    np.testing.assert_allclose(read.tracks.height, given.tracks.height, atol=1e-9)
    data = safetensors.numpy.load(lzma.decompress(plain.read_bytes()))
    assert data.keys() == recording_files.ARRAYS.keys() and b"heights" not in lzma.decompress(plain.read_bytes())
    with pytest.raises(InputError, match="height: further than"):
        write_recording(plain, replace(given, tracks=replace(given.tracks, height=given.tracks.height + 1e6)))


@pytest.mark.parametrize("name", ["height", "elevation"])
def test_heights_that_are_not_those_of_the_lines_are_refused(tmp_path, name):
    path = tmp_path / "one"
    write_recording(path, with_heights(recording()))
    data = lzma.decompress(path.read_bytes())
    size = int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + size])["__metadata__"]
    arrays = safetensors.numpy.load(data)
    for value in (arrays[name][:-1], arrays[name].astype(np.float32)):
        path.write_bytes(lzma.compress(safetensors.numpy.save(arrays | {name: value}, text), check=lzma.CHECK_SHA256))
        with pytest.raises(InputError, match=name):
            read_recording(path)
    arrays.pop("elevation")
    path.write_bytes(lzma.compress(safetensors.numpy.save(arrays, text), check=lzma.CHECK_SHA256))
    with pytest.raises(InputError, match="elevation: not the heights"):
        read_recording(path)


def test_what_is_written_is_read(tmp_path):
    given, path = recording(), tmp_path / "one.recording.xz"
    write_recording(path, given)
    read = read_recording(path)
    for name in ("name", "dt", "group", "split", "source", "licence", "marked", "origin", "notes"):
        assert getattr(read, name) == getattr(given, name)
    assert read.file == str(path)
    for name in ("id", "kind", "valid"):
        np.testing.assert_array_equal(getattr(read.tracks, name), getattr(given.tracks, name))
    for name, unit in (("position", 1e-3), ("velocity", 1e-3), ("heading", 1e-5), ("length", 1e-3), ("width", 1e-3)):
        np.testing.assert_allclose(getattr(read.tracks, name), getattr(given.tracks, name), rtol=0, atol=0.501 * unit)
    for one, other in zip(read.lanes, given.lanes, strict=True):
        np.testing.assert_allclose(one.left, other.left, atol=1e-9)
        np.testing.assert_allclose(one.right, other.right, atol=1e-9)
        assert {**vars(one), "left": 0, "right": 0} == {**vars(other), "left": 0, "right": 0}
    for one, other in zip(read.control_lines, given.control_lines, strict=True):
        np.testing.assert_allclose(one.ends, other.ends)
        assert (one.lane, one.kind, one.light) == (other.lane, other.kind, other.light)
    assert (read.lights[0].id, read.lights[0].recorded) == (0, True)
    np.testing.assert_array_equal(read.lights[0].states, given.lights[0].states)
    assert read.features[0].kind == ElementKind.CROSSWALK
    np.testing.assert_allclose(read.features[0].points, given.features[0].points)


def test_the_same_recording_gives_the_same_bytes_and_reading_keeps_them(tmp_path):
    one, two, three = (tmp_path / name for name in ("1", "2", "3"))
    write_recording(one, recording())
    write_recording(two, recording())
    write_recording(three, read_recording(one))
    assert one.read_bytes() == two.read_bytes() == three.read_bytes()
    assert sorted(tmp_path.iterdir()) == [one, two, three], "nothing is left beside"


def test_an_empty_road_and_no_traffic_are_a_recording(tmp_path):
    none = np.zeros((0, 5))
    tracks = Tracks(
        np.zeros(0, int),
        np.zeros(0, int),
        none[:, 0],
        none[:, 0],
        np.zeros((0, 5, 2)),
        none,
        np.zeros((0, 5, 2)),
        none > 0,
    )
    write_recording(tmp_path / "empty", Recording("empty", "", 0.1, tracks))
    read = read_recording(tmp_path / "empty")
    assert read.tracks.valid.shape == (0, 5) and read.lanes == ()


def test_what_is_too_far_away_is_not_written(tmp_path):
    given = recording()
    far = replace(given, tracks=replace(given.tracks, position=given.tracks.position + 1e6))
    with pytest.raises(InputError, match="origin"):
        write_recording(tmp_path / "far", far)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------- hostile files


@pytest.fixture
def parts(tmp_path):
    """A file's arrays and JSON, and how to write others."""
    path = tmp_path / "x"
    write_recording(path, recording())
    data = lzma.decompress(path.read_bytes())
    arrays = safetensors.numpy.load(data)
    size = int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + size])["__metadata__"]["recording"]

    def write(arrays, text):
        path.write_bytes(lzma.compress(safetensors.numpy.save(arrays, {"recording": text})))
        return path

    return arrays, text, write


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        read_recording(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and message.endswith(")")
    return message


def test_untouched_parts_are_read(parts):
    arrays, text, write = parts
    assert read_recording(write(arrays, text)).name == "one"


@pytest.mark.parametrize(
    "name, value",
    [
        ("name", 3),
        ("name", "two\nlines"),
        ("name", "x" * 2000),
        ("format", "other"),
        ("version", 2),
        ("version", True),
        ("steps", 10),
        ("steps", 10**30),
        ("dt", 0),
        ("dt", "0.1"),
        ("split", "dev"),
        ("marked", [1.5]),
        ("notes", {"a": -1}),
        ("notes", [1]),
        ("x", 1e300),
        ("lanes", []),
        ("lanes", [3, 4]),
        ("lanes", {}),
        ("lights", []),
        ("control_lines", [{}]),
        ("control_lines", [{"ends": [0, 0, 1], "lane": 3, "kind": 1, "light": None}]),
        ("control_lines", [{"ends": [0, 0, 1, 1e9], "lane": 3, "kind": 1, "light": None}]),
        ("control_lines", [{"ends": [0, 0, 1, 1], "lane": 3, "kind": 99, "light": None}]),
        ("features", [{"kind": -1}]),
    ],
)
def test_a_field_that_nobody_wrote_is_refused(parts, name, value):
    arrays, text, write = parts
    refused(write(arrays, json.dumps(json.loads(text) | {name: value})))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"format": "drivetrain recording"}', "NaN"])
def test_other_json_is_refused(parts, text):
    refused(parts[2](parts[0], text))


@pytest.mark.parametrize(
    "name, change",
    [
        ("id", lambda a: a * 0),
        ("kind", lambda a: a * 0),
        ("kind", lambda a: a + 100),
        ("size", lambda a: a * -1),
        ("size", lambda a: a * 10_000),
        ("position", lambda a: a * 10_000),
        ("position", lambda a: a[:, :-1]),
        ("position", lambda a: a.astype(np.float32)),
        ("valid", lambda a: a[:, :1]),
        ("points", lambda a: a[:-1]),
        ("points", lambda a: a * 100_000),
        ("counts", lambda a: a[:-1]),
        ("counts", lambda a: np.where(a == 3, 1, a)),
        ("counts", lambda a: a + np.int32(2**31 - 4)),
        ("states", lambda a: a + 77),
        ("states", lambda a: a[:0]),
    ],
)
def test_an_array_that_nobody_wrote_is_refused(parts, name, change):
    arrays, text, write = parts
    changed = change(arrays[name])
    assert changed.shape != arrays[name].shape or changed.dtype != arrays[name].dtype or (changed != arrays[name]).any()
    refused(write(arrays | {name: np.ascontiguousarray(changed)}, text))


def test_missing_and_unknown_arrays_are_refused(parts):
    arrays, text, write = parts
    assert "more" in refused(write(arrays | {"more": arrays["id"]}, text))
    assert "heading" in refused(write({name: array for name, array in arrays.items() if name != "heading"}, text))


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_BYTES", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(lzma.compress(bytes(8 << 20), preset=1))
    assert path.stat().st_size < 1 << 14
    assert "unpacks to more than 1 MiB" in refused(path)
    path.write_bytes(bytes(2 << 20))
    assert "larger than 1 MiB" in refused(path)


def test_no_file_no_archive_and_a_tail_are_refused(tmp_path):
    path = tmp_path / "x"
    refused(path)
    path.write_bytes(b"")
    refused(path)
    write_recording(path, recording())
    path.write_bytes(path.read_bytes() + b"\x00")
    refused(path)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, cut out or doubled."""
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data))
        what = draw.randrange(4)
        if what == 0:
            data[at] = draw.randrange(256)
        elif what == 1:
            del data[at : at + draw.randint(1, 40)]
        elif what == 2:
            data[at:at] = data[at : at + draw.randint(1, 40)]
        else:
            data[at : at + 8] = draw.choice([b"\xff" * 8, bytes(8), b"99999999", b'"}{[0,1]'])
        data = data or bytearray(b"\x00")
    return bytes(data)


def fuzz(path, seeds: range) -> int:
    """Read damaged files; how many were refused. Anything but a recording or a one-line error is a finding."""
    write_recording(path, recording())
    packed = path.read_bytes()
    plain, count = lzma.decompress(packed), 0
    for seed in seeds:
        draw = random.Random(seed)
        outer = draw.random() < 0.3
        path.write_bytes(damaged(packed, draw) if outer else lzma.compress(damaged(plain, draw), preset=0))
        try:
            read_recording(path)
        except InputError as error:
            assert "\n" not in str(error) and str(error).startswith(str(path)), seed
            count += 1
    return count


def test_damaged_files_are_refused_in_one_line(tmp_path):
    assert fuzz(tmp_path / "x", range(300)) > 100


@pytest.mark.long
def test_many_damaged_files_are_refused_in_one_line(tmp_path):
    assert fuzz(tmp_path / "x", range(300, 30_000)) > 1000
