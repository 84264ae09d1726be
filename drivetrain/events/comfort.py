"""How hard was the agent pushed?"""

from jaxtyping import Float

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State


def acceleration(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Longitudinal acceleration of the step, m/s², as the dynamics applied it."""
    return after.motion.acceleration[c]


def lateral(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Lateral acceleration of the step, m/s², as the dynamics produced it."""
    return after.motion.lateral[c]
