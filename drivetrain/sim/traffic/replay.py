"""Replay: everyone else does what the log says, whatever happens."""

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index, log_at
from drivetrain.sim.traffic.base import Memory, Traffic
from drivetrain.types import Agents, State, component


@component
class Replay(Traffic):
    """The other agents follow the log: they do not react."""

    def start(self, bank: Bank, episode: Index, time: Index) -> Memory:
        """Nothing to remember."""
        return ()

    def __call__(self, bank: Bank, state: State) -> tuple[Agents, Memory]:
        """Every agent [A] one step after `state`, as recorded."""
        return log_at(bank, state.episode, state.time + 1), ()
