"""Nested sets: a smaller one is a part of a larger one, and no drive of validation or test is learnt from."""

import math
import shutil

import pytest
from fixtures_dataset import entry, scenario
from hypothesis import given, settings
from hypothesis import strategies as st

from drivetrain.data.store.manifest import EgoEntry
from drivetrain.data.store.shards import read_manifest, set_causes, write_dataset
from drivetrain.runs.run import Data
from drivetrain.studies.scaling.sets import check_hours, describe, make_sets, set_of
from drivetrain.types import InputError, replace

SPLITS = ("train", "train", "train", "train", "val", "test", "train", "test", "train")
SECONDS = 0.2 * 10  # of each recording


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Nine recordings, of which six may be learnt from; those of one split may be of one group."""
    folder = tmp_path_factory.mktemp("many") / "many"
    rows = []
    for row, split in enumerate(SPLITS):
        named = entry(f"r{row}", split, group=f"{split}{row % 2}")
        rows.append((replace(named, egos=tuple(EgoEntry(each, 1, 0, 9, None) for each in range(2))), scenario(row % 3)))
    write_dataset(folder, rows, 0.2)
    return Data(dataset=str(folder))


def names(data, split=None):
    return {each.name for each in read_manifest(data.dataset).recordings if split in (None, each.split)}


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=3, unique=True))
def test_a_smaller_set_is_part_of_a_larger_one(many, tmp_path_factory, counts):
    out = tmp_path_factory.mktemp("study")
    hours = tuple(count * SECONDS / 3600.0 - 1e-9 for count in counts)
    make_sets(many, (*hours, math.inf), out)
    sets = [set_of(many, each, out) for each in (*sorted(hours), math.inf)]
    learnt = [names(each, "train") for each in sets]
    assert [len(each) for each in learnt[:-1]] == sorted(counts)
    assert all(less <= more for less, more in zip(learnt, learnt[1:], strict=False))
    for each in sets:
        assert names(each, "train") <= names(many, "train")
        assert names(each, "val") == names(many, "val") and names(each, "test") == names(many, "test")
        groups = [
            {row.group for row in read_manifest(each.dataset).recordings if (row.split == "train") == own}
            for own in (True, False)
        ]
        assert not groups[0] & groups[1]


def test_sets_are_the_same_wherever_they_are_made(many, tmp_path):
    made = [tmp_path / "one", tmp_path / "other"]
    for out in made:
        make_sets(many, (2 * SECONDS / 3600.0,), out)
    folders = [set_of(many, 2 * SECONDS / 3600.0, out).dataset for out in made]
    assert read_manifest(folders[0]) == read_manifest(folders[1])


def test_what_a_set_holds(many, tmp_path):
    about = describe(many)
    assert (about["recordings"], about["groups"], about["egos"]) == (6, 2, 12)
    assert about["hours"] == pytest.approx(6 * SECONDS / 3600.0)
    assert about["driven_hours"] == pytest.approx(12 * 9 * 0.2 / 3600.0)
    assert (about["val_egos"], about["test_egos"]) == (2, 4)


def test_more_hours_than_there_are_and_a_dataset_that_changed(many, tmp_path):
    with pytest.raises(InputError, match=r"hours: 5: .* has 0.00333 to learn from"):
        check_hours(many, (0.001, 5.0))
    check_hours(many, (0.001, math.inf))
    own = replace(many, dataset=str(tmp_path / "own"))
    shutil.copytree(many.dataset, own.dataset)
    make_sets(own, (0.001,), tmp_path / "study")
    set_causes(own.dataset, {"r0": ["collision", None]})
    with pytest.raises(InputError, match="of another"):
        make_sets(own, (0.001,), tmp_path / "study")
