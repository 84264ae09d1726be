"""Does the agent cross a line whose light is red?"""

from jaxtyping import Float

from drivetrain.events.crossing import crossings, line_margin
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import Array, ControlKind, LightState, State


def red_light(bank: Bank, before: State, after: State, c: Index) -> Float[Array, ""]:
    """Distance, m, from the front bumper to the line whose light is red; negative in the step that crosses it.

    The light counts as it stood at the step's start: what the agent saw when it acted. Red with yellow is red. A light
    whose cycle was modelled rather than recorded fails nobody.
    """
    met = crossings(bank, before, after, c)
    state = before.lights[met.line]
    red = (state == LightState.RED) | (state == LightState.RED_YELLOW)
    return line_margin(met, red & (met.kind == ControlKind.LIGHT) & met.judged)
