import numpy as np
import pytest

from drivetrain.banks.towns import TownSource, Worlds
from drivetrain.sim.towns import Town
from drivetrain.types import InputError


def test_worlds_are_those_of_the_maps_named(towns):
    worlds = Worlds(str(towns), Town(agents=4, programmes=2), ("ring",), seed=1)
    assert worlds.names == ("ring",) and worlds.bank.episodes.track.shape == (2, 4)
    both = Worlds(str(towns), Town(agents=4, programmes=2))
    assert set(both.names) == {"ring", "crossing"} and len(both.bank.episodes.map) == 4


def test_a_route_of_the_bank_names_its_drive(towns):
    worlds = Worlds(str(towns), Town(agents=4, programmes=1))
    each = len(worlds.bank.routes.map) // 2
    for map_ in range(2):
        route = np.array([map_ * each, map_ * each + 5])
        drive = worlds.drive(map_, route)
        lines = np.asarray(worlds.scenarios[map_].egos.route.lines)[drive]
        np.testing.assert_array_equal(np.asarray(worlds.bank.routes.lines)[route], lines)


def test_a_map_that_is_not_there_is_named(towns):
    with pytest.raises(InputError, match=r"maps: Atlantis is not there \(it has "):
        _ = Worlds(str(towns), Town(), ("Atlantis",)).bank


def test_a_source_of_towns_stays(towns):
    source = TownSource(Worlds(str(towns), Town(agents=4, programmes=2), ("ring",)))
    assert source.episodes.tolist() == [0, 1] and source.state() is None
    source.close()


def test_recordings_are_no_towns(dataset):
    with pytest.raises(InputError, match="drives: none"):
        _ = Worlds(str(dataset), Town()).bank
