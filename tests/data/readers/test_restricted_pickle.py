"""The machine that reads pickles: plain values as Python's own unpickler builds them, and nothing else."""

import collections
import gzip
import lzma
import pickle
import pickletools
import random
import resource
import struct
from pathlib import Path

import numpy as np
import pytest

from drivetrain.data.readers import restricted_pickle
from drivetrain.data.readers.restricted_pickle import _ACTIONS, load
from drivetrain.types import InputError

VALUE = {
    "text": "lane £ 走",
    "bytes": b"\x00\xff" * 40,
    "numbers": [0, -1, 255, 65536, -(2**31), 2**40, 1.5, float("inf"), True, False, None],
    "nested": {"tuple": (1, (2.0, "three"), ()), "list": [[], [[0.5, -0.5]]], 7: {"a", "b"}, "empty": set()},
    "arrays": {
        "doubles": np.arange(12.0).reshape(3, 4),
        "singles": np.linspace(0, 1, 5, dtype=np.float32),
        "columns": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "masks": np.array([True, False]),
        "words": np.array(["red", "green"]),
        "other byte order": np.arange(4, dtype=">f8"),
        "empty": np.zeros((0, 3)),
        "scalar": np.float64(2.5),
        "integer": np.int64(-3),
    },
}


def write(tmp_path, data: bytes, name: str = "a.pkl") -> str:
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


def same(one, two) -> bool:
    if isinstance(one, np.ndarray):
        alike = isinstance(two, np.ndarray) and one.dtype == two.dtype and one.shape == two.shape
        return alike and np.array_equal(one, two)
    if isinstance(one, dict):
        return isinstance(two, dict) and list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back_as_they_were(tmp_path, protocol):
    data = pickle.dumps(VALUE, protocol)
    assert same(load(write(tmp_path, data)), pickle.loads(data))  # noqa: S301


def test_shared_values_stay_shared_and_packed_files_are_read(tmp_path):
    array = np.arange(3.0)
    one, two = load(write(tmp_path, lzma.compress(pickle.dumps([array, array])), "a.pkl.xz"))
    assert one is two and one.tolist() == [0.0, 1.0, 2.0]


def test_dicts_of_other_names_become_dicts(tmp_path):
    counts = collections.defaultdict(int, {"VEHICLE": 3})
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    found = load(write(tmp_path, pickle.dumps([counts, ordered])))
    assert found == [{"VEHICLE": 3}, {"b": 1, "a": 2}] and all(type(item) is dict for item in found)


def test_an_array_of_numpy_1_is_read(tmp_path):
    data = pickle.dumps(np.arange(3.0), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert load(write(tmp_path, data)).tolist() == [0.0, 1.0, 2.0]


class Calls:
    """What a pickle of an attacker is: an object that asks for a call when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def raw(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


HUGE = struct.pack("<Q", 2**62)
HOSTILE = {
    "system": b"cos\nsystem\n(S'touch HERE'\ntR.",
    "eval": pickle.dumps(Calls(eval, "open('HERE', 'w')")),
    "open": pickle.dumps(Calls(open, "HERE", "w")),
    "getattr": pickle.dumps(Calls(getattr, "text", "upper")),
    "a path": pickle.dumps(Path("HERE")),
    "a class": pickle.dumps(np.random.default_rng),
    "an object": pickle.dumps(InputError("no")),
    "an array of objects": pickle.dumps(np.array([Calls(open, "HERE", "w")], object)),
    "a record array": pickle.dumps(np.zeros(2, [("x", "f8")])),
    "a date": pickle.dumps(np.datetime64("2020-01-01")),
    "numpy.load": raw(text("numpy"), text("load"), b"\x93", text("HERE"), b"\x85R"),
    "a dotted name": raw(text("numpy"), text("ndarray.tofile"), b"\x93", text("HERE"), b"\x85R"),
    "ndarray called": raw(text("numpy"), text("ndarray"), b"\x93", b"J\x00\x00\x00\x40\x85R"),
    "frombuffer of a name": raw(text("numpy._core.numeric"), text("_frombuffer"), b"\x93)R"),
    "defaultdict of open": raw(text("collections"), text("defaultdict"), b"\x93", text("HERE"), b"\x85R"),
    "new object": raw(text("collections"), text("OrderedDict"), b"\x93)\x81"),
    "instance": b"(i__main__\nThing\n.",
    "persistent id": b"Pfile\n.",
    "binary persistent id": raw(text("file"), b"Q"),
    "extension": raw(b"\x82\x01"),
    "out-of-band buffer": raw(b"\x97"),
    "nothing": b"",
    "no pickle": b"tracks: 3",
    "no end": b"\x80\x04]",
    "empty stack": b"\x80\x04.",
    "no mark": b"\x80\x04]e.",
    "append to a number": b"\x80\x04K\x01K\x02a.",
    "a list as key": b"\x80\x04}]K\x01s.",
    "absent memo": raw(b"h\x07"),
    "long bytes": raw(b"\x8e" + HUGE),
    "long text": raw(b"\x8d" + HUGE),
    "long bytearray": raw(b"\x96" + HUGE),
    "long integer": raw(b"\x8b\xff\xff\xff\x7f"),
    "wide integer": raw(b"\x8a\x10" + b"\xff" * 15 + b"\x7f"),
    "many digits": b"I" + b"9" * 100_000 + b"\n.",
    "far memo": raw(b"K\x01r\xff\xff\xff\x7f", b"j\xff\xff\xff\x6f"),
    "an escape that means nothing": b"S'\\u'\n.",
    "build on a dict": raw(b"}}b"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_plain_is_refused_and_never_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, HOSTILE[name])
    with pytest.raises(InputError) as caught:
        load(file)
    assert str(caught.value).startswith(file) and "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not (tmp_path / "HERE").exists()


def test_the_refusal_names_what_was_asked_for(tmp_path):
    with pytest.raises(InputError, match="os.system"):
        load(write(tmp_path, HOSTILE["system"]))


def array_state(shape: tuple, data: bytes, code: str = "f8") -> bytes:
    """A pickle of an array whose shape and bytes are told apart from each other."""
    head = text("numpy._core.multiarray") + text("_reconstruct") + b"\x93" + text("numpy") + text("ndarray") + b"\x93"
    head += b"K\x00\x85C\x01b\x87R"
    sides = b"(" + b"".join(b"\x8a\x09" + side.to_bytes(9, "little", signed=True) for side in shape) + b"t"
    kind = text("numpy") + text("dtype") + b"\x93" + text(code) + b"\x89\x88\x87R"
    kind += b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return raw(head, b"(K\x01", sides, kind, b"\x89", b"B" + struct.pack("<I", len(data)) + data, b"tb")


def test_an_array_has_the_bytes_that_its_shape_asks_for(tmp_path):
    honest = load(write(tmp_path, array_state((2, 2), np.arange(4.0).tobytes())))
    np.testing.assert_array_equal(honest, [[0.0, 1.0], [2.0, 3.0]])
    for shape in ((2, 3), (2**40,), (-1, -4), (2**62, 4), (2**62, 0), (1, 1, 1, 1, 4)):
        with pytest.raises(InputError, match="array"):
            load(write(tmp_path, array_state(shape, np.arange(4.0).tobytes())))
    for code in ("O8", "V8", "M8", "c16"):
        with pytest.raises(InputError):
            load(write(tmp_path, array_state((2,), bytes(16), code)))


def test_bombs_are_refused_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(restricted_pickle, "MAX_OPCODES", 100_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many = raw(b"(" + b"}" * 100_010 + b"l")
    words = b"X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"\x94"
    encode = text("_codecs") + text("encode") + b"\x93\x94"
    copies = raw(words, encode, b"(" + (b"h\x01h\x00" + text("latin1") + b"\x86R") * 300 + b"l")
    for bomb in (many, copies):
        with pytest.raises(InputError, match="more than"):
            load(write(tmp_path, bomb))
    with pytest.raises(InputError, match="MiB"):
        load(write(tmp_path, gzip.compress(bytes(70 << 20), 1), "a.pkl.gz"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 1 << 20  # KiB


def test_nested_keys_cannot_stall_the_hash(tmp_path):
    deep = b")" + b"2\x86" * 60  # a tuple of twice the tuple before: 2**60 leaves
    with pytest.raises(InputError, match="key"):
        load(write(tmp_path, raw(b"}", deep, b"K\x01s")))


def mutate(data: bytes, source: random.Random) -> bytes:
    """A pickle with a few bytes changed, dropped, doubled or cut."""
    spoilt = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(spoilt))
        match source.randrange(4):
            case 0:
                spoilt[at] = source.randrange(256)
            case 1:
                spoilt[at] ^= 1 << source.randrange(8)
            case 2:
                del spoilt[at : at + source.randint(1, 8)]
            case 3:
                spoilt[at:at] = spoilt[at : at + source.randint(1, 16)]
        if not spoilt:
            return b""
    return bytes(spoilt)


def survive(tmp_path, seed: int, rounds: int) -> None:
    source = random.Random(seed)
    honest = [pickle.dumps(VALUE, protocol) for protocol in (0, 2, 4, 5)]
    for _ in range(rounds):
        file = write(tmp_path, mutate(source.choice(honest), source))
        try:
            load(file)
        except InputError as error:
            assert "\n" not in str(error)


def test_damage_is_a_clear_error_or_another_value(tmp_path):
    survive(tmp_path, seed=1, rounds=250)


@pytest.mark.long
def test_much_damage(tmp_path):
    for seed in range(2, 26):
        survive(tmp_path, seed, rounds=2000)


def test_every_opcode_is_known_or_refused():
    names = {opcode.name for opcode in pickletools.opcodes}
    assert names >= set(_ACTIONS)
    refused = {"PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
    assert names - set(_ACTIONS) == refused | {"STOP", "NEXT_BUFFER", "READONLY_BUFFER"}
