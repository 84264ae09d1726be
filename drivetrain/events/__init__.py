"""What happened in a step, one fact a file.

A fact is a function of (bank, state before the step, state after it, controlled agent) that returns one number. A new
one is a file here, a field of `Events` (which says whether it is a margin), and a line in `detect`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.events.collision import collision
from drivetrain.events.comfort import acceleration, lateral
from drivetrain.events.goal import goal, latch_errand
from drivetrain.events.manner import manner
from drivetrain.events.margin import LIMIT
from drivetrain.events.off_road import off_road
from drivetrain.events.off_route import off_route
from drivetrain.events.progress import progress
from drivetrain.events.red_light import red_light
from drivetrain.events.speed import overspeed
from drivetrain.events.stop_line import latch_stops, stop_line
from drivetrain.events.sweeping import swept_collision
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import Index
from drivetrain.types import MARGINS, Array, Errand, Events, State, by_row, replace

FACTS = tuple(name for name in Events.__dataclass_fields__ if name != "manner")
NOTHING = Events(*(np.asarray(LIMIT if name in MARGINS else 0.0, np.float32) for name in FACTS))  # type: ignore[arg-type]
"""What happens to an agent that is not there: every margin at its clip, every rate 0."""


def detect(bank: Bank, before: State, after: State, swept: bool = False) -> Events:
    """Everything that happened to each controlled agent from `before` to `after`: `Events` [C].

    Boxes are compared at steps, and on the way between them where `swept`. To agents that were not alive before the
    step, padding among them, `NOTHING` happened.
    """

    def of_agent(c: Index) -> Events:
        step = (bank, before, after, c)

        def seen(fact: Callable[..., Array]) -> Array:
            """The fact, under its own name in the compiled program."""
            with jax.named_scope(fact.__name__):
                return fact(*step)

        events = Events(
            collision=seen(swept_collision if swept else collision),
            off_route=seen(off_route),
            off_road=seen(off_road),
            stop_line=seen(stop_line),
            red_light=seen(red_light),
            progress=seen(progress),
            overspeed=seen(overspeed),
            acceleration=seen(acceleration),
            lateral=seen(lateral),
            goal=seen(goal),
            manner=manner(*step),
        )
        calm = replace(NOTHING, manner=jax.tree.map(jnp.zeros_like, events.manner))
        return jax.tree.map(lambda fact, calm: jnp.where(before.alive[c], fact, calm), events, calm)

    return jax.vmap(of_agent)(jnp.arange(before.alive.shape[0]))


def latch(bank: Bank, before: State, after: State) -> State:
    """`after` with its latches (`stopped`, `errand`) up to date; those of agents not alive before the step stay."""

    def of_agent(c: Index) -> tuple[Array, Errand | None]:
        errand = None if before.errand is None else latch_errand(bank, before, after, c)
        return latch_stops(bank, before, after, c), errand

    latched = jax.vmap(of_agent)(jnp.arange(before.alive.shape[0]))
    stopped, errand = by_row(before.alive, latched, (before.stopped, before.errand))
    return replace(after, stopped=stopped, errand=errand)
