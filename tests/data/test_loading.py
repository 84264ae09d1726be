"""The shuffled order and what `load` hands out."""

import numpy as np
import pytest
from fixtures_dataset import entry, scenario

from drivetrain.data.loading import Order, load
from drivetrain.data.shards import set_causes, write_dataset
from drivetrain.types import InputError


@pytest.fixture
def folder(tmp_path):
    splits = ("train", "train", "val", "test")
    pairs = [(entry(f"r{i}", split), scenario(i)) for i, split in enumerate(splits)]
    write_dataset(tmp_path / "data", pairs, dt=0.2)
    return tmp_path / "data"


def test_an_order_visits_everything_once_a_round():
    indices, _ = Order(7, seed=3).take(21)
    rounds = indices.reshape(3, 7)
    assert all(sorted(turn) == list(range(7)) for turn in rounds.tolist())
    assert len({tuple(turn) for turn in rounds.tolist()}) > 1


def test_an_order_resumes_from_its_position_alone():
    whole, _ = Order(5, seed=1).take(40)
    first, order = Order(5, seed=1).take(13)
    rest, _ = Order(5, seed=1, position=order.position).take(27)
    np.testing.assert_array_equal(np.concatenate([first, rest]), whole)
    assert (Order(50, seed=2).take(50)[0] != Order(50, seed=1).take(50)[0]).any()


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
