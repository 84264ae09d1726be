"""The stream of recordings: order, resuming, hosts, threads, damage."""

import itertools
import json

import jax
import numpy as np
import pytest
from fixtures_dataset import entry, scenario

from drivetrain.data.store.shards import read_manifest, read_scenarios, set_causes, write_dataset
from drivetrain.data.store.streaming import Stream
from drivetrain.types import InputError, replace

COUNT = 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("stream") / "data"
    pairs = [(entry(f"r{i}", group=f"g{i // 2}"), scenario(i % 4)) for i in range(COUNT)]
    write_dataset(out, [*pairs, (entry("v", "val"), scenario(0))], dt=0.2)
    set_causes(out, {f"r{i}": [None, "collision"] for i in range(COUNT)} | {"v": [None, None]})
    return out


def take(samples, count):
    return [sample.name for sample in itertools.islice(samples, count)]


def test_every_round_visits_every_recording_once_in_another_order(folder):
    names = take(Stream(str(folder)).open(), 3 * COUNT)
    rounds = [names[first : first + COUNT] for first in range(0, 3 * COUNT, COUNT)]
    assert all(sorted(turn) == [f"r{i}" for i in range(COUNT)] for turn in rounds)
    assert len({tuple(turn) for turn in rounds}) > 1
    assert names == take(Stream(str(folder), threads=1, ahead=1).open(), 3 * COUNT)
    assert names != take(Stream(str(folder), seed=1).open(), 3 * COUNT)


@pytest.mark.parametrize("taken", [0, 1, 6, 7, 20])
def test_a_stream_resumes_at_the_very_record(folder, taken):
    stream = Stream(str(folder), seed=5)
    whole = take(stream.open(), 40)
    first = stream.open()
    take(first, taken)
    state = json.loads(json.dumps(first.state()))
    assert state["position"] == taken and all(type(value) is int for value in state.values())
    resumed = stream.open(state)
    assert take(resumed, 40 - taken) == whole[taken:]
    first.restore(state)
    assert take(first, 40 - taken) == whole[taken:]


def test_hosts_share_every_round_between_them(folder):
    whole = take(Stream(str(folder)).open(), 4 * COUNT)
    parts = [Stream(str(folder), host=host, hosts=4).open() for host in range(4)]
    turns = [take(part, COUNT) for part in parts]
    assert [name for step in zip(*turns, strict=True) for name in step] == whole
    with pytest.raises(InputError, match="hosts: 4 where the saved stream has 1"):
        parts[0].restore(Stream(str(folder)).open().state())
    with pytest.raises(InputError, match="host: 4 of 4"):
        Stream(str(folder), host=4, hosts=4).open()


def test_a_state_of_another_dataset_or_seed_is_refused(folder, tmp_path):
    state = Stream(str(folder)).open().state()
    for change in ({"seed": 9}, {"dataset": 1}, {"position": -1}):
        with pytest.raises(InputError, match=next(iter(change))):
            Stream(str(folder)).open(state | change)


def test_samples_are_the_dataset_s_scenarios_with_their_marks(folder):
    manifest = read_manifest(folder)
    expected = dict(
        zip([e.name for e in manifest.recordings], read_scenarios(folder, manifest, manifest.recordings), strict=True)
    )
    for sample in itertools.islice(Stream(str(folder), threads=8).open(), 60):
        for has, was in zip(jax.tree.leaves(sample.scenario), jax.tree.leaves(expected[sample.name]), strict=True):
            np.testing.assert_array_equal(has, was)
        assert sample.admitted.tolist() == [True, False] and sample.group == int(sample.name[1:]) // 2
    only = Stream(str(folder), split="val").open()
    assert take(only, 3) == ["v"] * 3 and next(only).admitted.all()


def test_bytes_that_were_not_written_end_the_stream_with_one_line(folder, tmp_path):
    pairs = [(entry(f"r{i}"), scenario(i)) for i in range(3)]
    write_dataset(tmp_path / "data", pairs, dt=0.2)
    stream = Stream(str(tmp_path / "data"), admitted_only=False)
    shard = tmp_path / "data" / "scenarios-00000.array_record"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="the shard has .* bytes"):
        take(stream.open(), 3)
    used = np.flatnonzero(np.frombuffer(whole, np.uint8))
    shard.write_bytes(whole[: used[300]] + bytes([whole[used[300]] ^ 4]) + whole[used[300] + 1 :])
    with pytest.raises(InputError, match="damaged|checksum"):
        take(stream.open(), 9)
    with pytest.raises(InputError, match="no ego has been checked"):
        replace(stream, admitted_only=True).open()
