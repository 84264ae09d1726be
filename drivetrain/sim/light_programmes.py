"""Lights of an empty map: which of them belong together, and how they go. NumPy, once, at load.

Cusumano-Towner et al. 2025 (arXiv 2502.03349, section on randomisation): red 2 s, yellow 3 s, green 10 s in turn, each
scaled at random; some lights, some junctions and some whole worlds are switched off, some junctions stay green. Which
lights form a junction is not in a map: those whose lines are near each other do; those that lead along one axis, either
way, have green together.
"""

import numpy as np
from jaxtyping import Float, Int

from drivetrain.data.roads.lanes import components
from drivetrain.types import ControlKind, LightState, Map, component

JUNCTION = 45.0
"""Lights whose lines are within so many metres of each other are of one junction, and so are theirs."""


@component
class LightRules:
    """How lights are drawn; durations in s, shares of 1."""

    clearing: float = 2.0  # all red, between one axis and the other
    yellow: float = 3.0
    green: float = 10.0
    clearing_scale: tuple[float, float] = (0.15, 5.0)
    yellow_scale: tuple[float, float] = (0.5, 0.75)
    green_scale: tuple[float, float] = (0.1, 1.0)
    dead_lights: float = 0.2  # of single lights
    dead_junctions: float = 0.2
    dead_worlds: float = 0.2
    always_green: float = 0.05  # of the junctions that are left


def light_programme(
    map_: Map, steps: int, dt: float, rules: LightRules, random: np.random.Generator
) -> Int[np.ndarray, "T S"]:
    """`LightState` of every control line at each step of one world; UNKNOWN where there is no light."""
    lines = np.asarray(map_.lines, float)
    shown = np.full((steps, len(lines)), int(LightState.UNKNOWN), np.int32)
    lights = np.flatnonzero(np.asarray(map_.line_kind) == ControlKind.LIGHT)
    dark = random.random() < rules.dead_worlds
    for junction in junctions(lines[lights]):
        members = lights[junction]
        off = dark or random.random() < rules.dead_junctions
        green = random.random() < rules.always_green
        axis, clock = _axes(lines[members]), _clock(steps, dt, rules, random)
        states = np.where(axis, clock[1][:, None], clock[0][:, None])
        if green:
            states[:] = LightState.GREEN
        dead = off | (random.random(len(members)) < rules.dead_lights)
        shown[:, members] = np.where(dead, int(LightState.OFF), states)
    return shown


def junctions(lines: Float[np.ndarray, "n 4"]) -> list[Int[np.ndarray, "_"]]:
    """The rows of lines by junction, in order."""
    middle = 0.5 * (lines[:, :2] + lines[:, 2:])
    near = np.linalg.norm(middle[:, None] - middle, axis=-1) < JUNCTION
    root = components(len(lines), [(int(one), int(other)) for one, other in np.argwhere(np.triu(near, 1))])
    return [np.flatnonzero(root == first) for first in np.unique(root)]


def _axes(lines: Float[np.ndarray, "n 4"]) -> np.ndarray:
    """True for lines that lead across the first one's direction."""
    across = lines[:, :2] - lines[:, 2:]
    unit = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    return np.abs(unit @ unit[0]) < np.sqrt(0.5)


def _clock(steps: int, dt: float, rules: LightRules, random: np.random.Generator) -> Int[np.ndarray, "2 T"]:
    """The states of the two axes of a junction at each step, from a phase drawn at random."""
    clearing = min(rules.clearing * random.uniform(*rules.clearing_scale), 10.0)
    yellow, green = rules.yellow * random.uniform(*rules.yellow_scale), rules.green * random.uniform(*rules.green_scale)
    half = green + yellow + clearing
    at = np.arange(steps) * dt + random.uniform(0.0, 2.0 * half)

    def of_axis(begin: float) -> np.ndarray:
        place = (at - begin) % (2.0 * half)
        states = np.where(place < green + yellow, int(LightState.YELLOW), int(LightState.RED))
        return np.where(place < green, int(LightState.GREEN), states)

    return np.stack([of_axis(0.0), of_axis(half)])
