"""Several datasets as one stream: their shares, and that it resumes."""

import itertools
import json

import numpy as np
import pytest
from fixtures_dataset import entry, scenario

from drivetrain.data.store.mixing import Mixture
from drivetrain.data.store.shards import set_causes, write_dataset
from drivetrain.data.store.streaming import Stream
from drivetrain.types import InputError


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    root, found = tmp_path_factory.mktemp("mixing"), []
    for name, count in (("one", 5), ("two", 3)):
        pairs = [(entry(f"{name}{i}", group=f"{name}{i}"), scenario(i)) for i in range(count)]
        write_dataset(root / name, pairs, dt=0.2)
        set_causes(root / name, {f"{name}{i}": [None, None] for i in range(count)})
        found.append(Stream(str(root / name), seed=3, threads=1, ahead=2))
    return tuple(found)


def take(samples, count):
    return [sample.name for sample in itertools.islice(samples, count)]


@pytest.mark.parametrize("share", [0.75, 0.5, 0.1])
def test_any_run_of_samples_holds_about_the_shares(streams, share):
    mixture = Mixture(streams, (share, 1.0 - share))
    own = mixture.source(np.arange(5000)) == 0
    for first in (0, 1234, 4900):
        assert abs(own[first : first + 100].mean() - share) < 0.04
    assert abs(own.mean() - share) < 0.002


def test_each_dataset_keeps_its_own_order(streams):
    names = take(Mixture(streams, (0.75, 0.25)).open(), 60)
    for part, stream in zip(("one", "two"), streams, strict=True):
        mine = [name for name in names if name.startswith(part)]
        assert mine == take(stream.open(), len(mine))


@pytest.mark.parametrize("taken", [0, 1, 17])
def test_a_mixture_resumes_at_the_very_record(streams, taken):
    mixture = Mixture(streams, (0.6, 0.4))
    whole = take(mixture.open(), 40)
    first = mixture.open()
    take(first, taken)
    state = json.loads(json.dumps(first.state()))
    assert state["position"] == taken
    assert take(mixture.open(state), 40 - taken) == whole[taken:]
    with pytest.raises(InputError, match="dataset"):
        Mixture(streams[::-1], (0.6, 0.4)).open(state)
