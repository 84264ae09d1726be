"""Maps without traffic as worlds to drive in: one bank, which stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.banks.source import Staying
from drivetrain.data.store.loading import Loaded, load
from drivetrain.data.store.shards import read_manifest
from drivetrain.parallel import on_each
from drivetrain.sim.bank import Bank
from drivetrain.sim.towns import Town, drives_of, town_bank, varied_maps
from drivetrain.types import InputError, Scenario


@dataclass(frozen=True)
class Worlds:
    """Some maps of a dataset, and what is asked on them; what is drawn of it is drawn by the seed."""

    folder: str
    town: Town
    maps: tuple[str, ...] = ()  # by their names; none: all of the dataset
    seed: int = 0
    dt: float = 0.0  # s; 0: the dataset's, which of a map alone means nothing

    @cached_property
    def bank(self) -> Bank:
        """On the devices. Raises `InputError` for a map that the dataset has not, or that offers no drives."""
        dt = self.dt or read_manifest(self.folder).dt
        return on_each(town_bank(*self._named, dt, self.town, self.seed))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the maps, in the bank's order; variants go by their map's."""
        return tuple(self._varied[1])

    @property
    def scenarios(self) -> Sequence[Scenario]:
        """The maps themselves, in the bank's order, variants among them."""
        return self._varied[0]

    @cached_property
    def _varied(self) -> tuple[Sequence[Scenario], Sequence[str]]:
        return varied_maps(*self._named, self.town, self.seed)

    @cached_property
    def _named(self) -> tuple[Sequence[Scenario], Sequence[str]]:
        loaded, names = self._loaded, self.maps or self._loaded.names
        missing = [name for name in names if name not in loaded.names]
        if missing:
            raise InputError(f"{self.folder}: maps: {missing[0]} is not there (it has {', '.join(loaded.names)})")
        return [loaded.scenarios[loaded.names.index(name)] for name in names], names

    @cached_property
    def _loaded(self) -> Loaded:
        return load(self.folder, admitted_only=False)

    def drive(self, map_: int, route: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """The row among a map's drives of some routes of the bank on it."""
        pool, each = drives_of(self.scenarios[map_]), len(self.bank.routes.map) // len(self.names)
        return pool[(np.asarray(route) - map_ * each) % len(pool)]


class TownSource(Staying):
    """All worlds at once."""

    def __init__(self, worlds: Worlds):
        self.bank = worlds.bank
        self.episodes = on_each(jnp.arange(len(self.bank.episodes.map)))
