"""What a rule for traffic offers: everyone's next step, and its own record of what it has to remember."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Agents, State, component

Memory = Any
"""A pytree of arrays, one fixed shape for a rule; `()` where there is none. It stands in `State.traffic`."""


@component
class Traffic(ABC):
    """A rule for the agents that no policy drives, of one scene."""

    needs_paths: ClassVar[bool] = False  # of the bank (`make_bank`)

    @abstractmethod
    def start(self, bank: Bank, episode: Index, time: Index) -> Memory:
        """The memory of an episode that starts at a step of the log, everyone where the log has them."""

    @abstractmethod
    def __call__(self, bank: Bank, state: State) -> tuple[Agents, Memory]:
        """All agents [A] one step after a state, and the memory then. What it says of controlled agents is not used."""
