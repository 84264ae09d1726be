"""How far did the agent come along its route?"""

from jaxtyping import Float

from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Array, State


def progress(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Metres along the route in this step; negative when it moved back."""
    return after.arc_length[c] - before.arc_length[c]
