"""Replay: everyone else does what the log says, whatever happens."""

from drivetrain.sim.bank import Bank, log_at
from drivetrain.types import Agents, State, component


@component
class Replay:
    """The other agents follow the log: they do not react."""

    def __call__(self, bank: Bank, state: State) -> Agents:
        """Every agent [A] one step after `state`, as recorded."""
        return log_at(bank, state.episode, state.time + 1)
