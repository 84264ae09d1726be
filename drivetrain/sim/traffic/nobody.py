"""Nobody: everyone there is, is controlled."""

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.sim.traffic.base import Memory, Traffic
from drivetrain.types import Agents, State, component


@component
class Nobody(Traffic):
    """For self-play: no agent moves unless it is controlled."""

    def start(self, bank: Bank, episode: Index, time: Index) -> Memory:
        """Nothing to remember."""
        return ()

    def __call__(self, bank: Bank, state: State) -> tuple[Agents, Memory]:
        """Every agent [A] where it is."""
        return state.agents, ()
