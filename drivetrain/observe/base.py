"""What an observer is: the modalities of one agent's observation, and how wide they are."""

from abc import ABC, abstractmethod

from jaxtyping import Int

from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Observation, State, component


@component
class Widths:
    """Features of each modality: what a policy must know to be built."""

    ego: int
    agents: int
    road: int
    route: int
    lanes: int  # of a route: its points stand station by station
    points: int  # of a lane of the route


@component
class Observer(ABC):
    """State → Observation of one controlled agent."""

    @property
    @abstractmethod
    def widths(self) -> Widths:
        """Features of each modality."""

    @abstractmethod
    def __call__(self, bank: Bank, state: State, c: Int[Array, ""] | int) -> Observation:
        """What controlled agent `c` sees, in its own frame."""
