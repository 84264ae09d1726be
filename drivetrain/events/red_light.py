"""Does the agent cross a line whose light is red?"""

from jaxtyping import Float

from drivetrain.events.crossing import crossings, line_margin
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Array, ControlKind, State, is_red


def red_light(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Distance, m, from the front bumper to the line whose light is red; negative in the step that crosses it.

    The light counts as it stood at the step's start: what the agent saw when it acted. A light
    whose cycle was modelled rather than recorded fails nobody.
    """
    met = crossings(bank, before, after, c)
    return line_margin(met, is_red(before.lights[met.line]) & (met.kind == ControlKind.LIGHT) & met.judged)
