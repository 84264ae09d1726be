"""What a rule of spawning offers: where everyone in a scene begins."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Int

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, Placement
from drivetrain.types import Agents, Array, Bodies, Errand, Key, State, Traits, component, record


@record
class Spawn:
    """Everyone at the first moment of a scene, and what each controlled agent is about."""

    time: Int[Array, ""]  # step of the log
    agents: Agents  # [A]
    bodies: Bodies  # [A]
    controlled: Int[Array, "C"]  # column of `agents` of each controlled agent; -1 is padding
    alive: Bool[Array, "C"]  # False for padding
    later: Placement  # [C]: where it is to be one step on, not valid where nobody knows: its first steering follows it
    route: Int[Array, "C"]  # row of the bank's routes
    cursor: Int[Array, "C"]  # a station of the route near it
    traits: Traits | None = None  # [C]
    errand: Errand | None = None  # [C]


@component
class Spawning(ABC):
    """A rule of where agents begin; written for one scene."""

    @abstractmethod
    def __call__(self, bank: Bank, episode: Index, key: Key) -> Spawn:
        """Where everyone begins. All keys that are drawn with are split off `key`."""


@component
class Replacing(Spawning):
    """A rule by which others take the place of agents that have ended, in a scene that goes on and never restarts."""

    @abstractmethod
    def again(self, bank: Bank, state: State, key: Key) -> Spawn:
        """Who takes the place of agents that are not alive: `alive` says which do, now. Consumes the key."""
