"""What `load` hands out."""

import pytest
from fixtures_dataset import entry, scenario

from drivetrain.data.store.loading import load
from drivetrain.data.store.shards import set_causes, write_dataset
from drivetrain.types import InputError


@pytest.fixture
def folder(tmp_path):
    splits = ("train", "train", "val", "test")
    pairs = [(entry(f"r{i}", split), scenario(i)) for i, split in enumerate(splits)]
    write_dataset(tmp_path / "data", pairs, dt=0.2)
    return tmp_path / "data"


def test_only_admitted_egos_are_marked(folder):
    with pytest.raises(InputError, match="no ego has been checked"):
        load(folder, "train")
    set_causes(folder, {"r0": [None, "off_route"], "r1": ["collision", "collision"], "r2": [None, None]})
    loaded = load(folder, "train")
    assert loaded.names == ("r0",) and loaded.admitted[0].tolist() == [True, False] and loaded.groups == ("g-r0",)
    everything = load(folder, admitted_only=False)
    assert everything.names == ("r0", "r1", "r2", "r3") and all(marks.all() for marks in everything.admitted)


def test_limit_and_unknown_splits(folder):
    assert load(folder, admitted_only=False, limit=2).names == ("r0", "r1")
    with pytest.raises(InputError, match="use one of train, val, test"):
        load(folder, "training")


def test_scenarios_of_a_split_have_one_shape(folder):
    first, second = load(folder, "train", admitted_only=False).scenarios
    assert first.map.stations.shape == second.map.stations.shape
    assert first.log.agents.position.shape == second.log.agents.position.shape
