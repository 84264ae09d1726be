"""What sets agents apart that one policy drives: nouns of `types.py`, on a page of their own."""

from jaxtyping import Bool, Float, UInt

from drivetrain.records import Array, record


@record
class Weights:
    """Factors on the terms of the reward, by their names in it; 1 leaves a term as it is."""

    progress: Float[Array, ""]
    overspeed: Float[Array, ""]
    acceleration: Float[Array, ""]
    lateral: Float[Array, ""]
    collision: Float[Array, ""]
    off_route: Float[Array, ""]
    off_road: Float[Array, ""]
    red_light: Float[Array, ""]
    stop_line: Float[Array, ""]
    goal: Float[Array, ""]
    time: Float[Array, ""]
    alignment: Float[Array, ""]
    centre: Float[Array, ""]
    reverse: Float[Array, ""]
    comfort: Float[Array, ""]


@record
class Scales:
    """Factors on what an agent's actions do, after their limits, and on what its car can; 1 leaves all as it is."""

    acceleration: Float[Array, ""]  # of the longitudinal column of an action
    steering: Float[Array, ""]  # of the lateral column
    speed: Float[Array, ""]  # of its top speed, where its dynamics or its kind has one
    power: Float[Array, ""]  # of its largest acceleration, where its dynamics or its kind has one


@record
class Odd:
    """What makes an agent one that others must be safe from, and that nobody learns from; and its own chances."""

    blind: Bool[Array, ""]  # it sees no other agents
    brakes: Bool[Array, ""]  # it brakes sharply now and then, whatever it is told
    seed: UInt[Array, ""]  # of what is drawn for it step by step (`sim/dice.py`)


@record
class Traits:
    """What sets a controlled agent apart from others that the same policy drives."""

    weights: Weights
    scales: Scales
    odd: Odd | None = None  # None: nobody is
