"""A policy that drives by pictures: at every step what its camera sees is drawn, a detector looks at the picture, and
what it reports takes the place of what an `ErrorModel` would have reported.

    state → view → picture → detector → report ┐
                     reports of a few steps ago ┴→ tokens → policy → action
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from drivetrain.camera.appearance import Appearance, Jitter, Randomisation
from drivetrain.camera.ground import Ground
from drivetrain.camera.labels import boxes_of, lines_of
from drivetrain.camera.render import Renderer, View, labelled, look_out, picture
from drivetrain.observe.camera import CameraSight, Foot, foot, line_tokens, vehicle_tokens
from drivetrain.perception.detector import Detector, of_boxes
from drivetrain.perception.exposure import followed
from drivetrain.perception.report import Report, nothing
from drivetrain.policy.base import Memory, Policy, first_memory
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.sim.dynamics.base import Dynamics
from drivetrain.sim.reading import record_of
from drivetrain.types import VEHICLES, Array, Key, Observation, State, record, replace

MOST = 24
"""Vehicles that are remembered of a report, the nearest."""
CALIBRATED = Randomisation(jitter=Jitter((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
"""Looks in which the camera is where its mount is: who drives by one has measured it."""


class Eyes(eqx.Module):
    """Where the report of a view comes from."""

    @abstractmethod
    def __call__(
        self, renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
    ) -> Report:
        """The report of a view of map `row`."""


class ByPicture(Eyes):
    """The picture is drawn, and a detector looks at it."""

    detector: Detector

    def __call__(
        self, renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
    ) -> Report:
        """What the detector says."""
        return self.detector(picture(renderer, grounds, row, view, look))


class ByLabels(Eyes):
    """What the picture is known to show: a detector without errors."""

    least: float = eqx.field(static=True, default=0.1)  # share of a vehicle that must be visible

    def __call__(
        self, renderer: Renderer, grounds: Ground, row: Int[Array, ""], view: View, look: Appearance
    ) -> Report:
        """The rectangles of vehicles and the lines of the camera's own lane, of the labels of the picture."""
        _, labels = labelled(renderer, grounds, row, view, look)
        boxes = boxes_of(renderer, view)
        seen = boxes.shown & jnp.isin(boxes.kind, np.asarray(VEHICLES)) & (boxes.visible >= self.least)
        lines = lines_of(renderer, grounds, row, view, labels.depth)
        joined = (lines.line[1:] == lines.line[:-1]) & lines.visible[1:] & lines.visible[:-1] & (lines.paint[1:] > 0)
        x, y = lines.place.T
        aside, known = followed((x[:-1], y[:-1], x[1:], y[1:]), joined)
        return of_boxes(renderer.camera, boxes.box, boxes.depth, seen, (aside, known))


@record
class Kept:
    """What is remembered of one agent: its policy's memory, and the newest reports, the newest first [k]."""

    policy: Memory
    reports: Report
    place: Float[Array, "*C k 2"]  # of the camera's foot when they were made
    heading: Float[Array, "*C k 2"]


class Seeing(Driver):
    """Drives by the mode of the policy's distribution, as `Greedy` does, by what its eyes report.

    How pictures look is drawn once a recording and agent, from a seed.
    """

    policy: Policy
    eyes: Eyes
    grounds: Ground  # of the bank's maps
    sight: CameraSight = eqx.field(static=True)
    dynamics: Dynamics = eqx.field(static=True)
    renderer: Renderer = eqx.field(static=True)
    look: Randomisation = eqx.field(static=True, default=CALIBRATED)
    seed: int = eqx.field(static=True, default=0)

    def initial_memory(self, agents: int) -> Kept:
        """Nothing was reported yet."""
        kept = self.sight.errors.delay + self.sight.before + 1
        blank = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (agents, kept, *leaf.shape)), nothing(MOST))
        zeros = jnp.zeros((agents, kept, 2))
        return Kept(first_memory(self.policy, agents), blank, zeros, zeros)

    def __call__(
        self, bank: Bank, state: State, observation: Observation, memory: Kept, key: Key
    ) -> tuple[Float[Array, "C width"], Kept]:
        """One action of each controlled agent. The key is split once an agent, for its policy."""
        keys = jax.random.split(key, len(state.controlled))

        def act(c: Array, seen: Observation, kept: Kept, key: Key) -> tuple[Array, Kept]:
            kept = self.looked(bank, state, c, kept)
            distribution, _, remembered = self.policy(self.told(bank, state, c, seen, kept), kept.policy, key)
            return self.dynamics.decode(distribution.mode()), replace(kept, policy=remembered)

        return jax.vmap(act)(jnp.arange(len(state.controlled)), observation, memory, keys)

    def looked(self, bank: Bank, state: State, c: Int[Array, ""] | int, kept: Kept) -> Kept:
        """What is kept after one more look."""
        recording, own = record_of(bank, state.episode), jnp.maximum(state.controlled[c], 0)
        look = self.look(jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), recording[0]), own))
        view = look_out(self.renderer, bank, self.grounds, state, c, look)
        report = self.eyes(self.renderer, self.grounds, bank.episodes.map[state.episode], view, look)
        report = nearest_first(report, MOST)
        here = foot(self.renderer.camera, state, c, jnp.zeros(()))

        def put(new: Array, old: Array) -> Array:
            return jnp.concatenate([new[None], old[:-1]])

        reports = jax.tree.map(put, report, kept.reports)
        return Kept(kept.policy, reports, put(here.place, kept.place), put(here.heading, kept.heading))

    def told(self, bank: Bank, state: State, c: Int[Array, ""] | int, seen: Observation, kept: Kept) -> Observation:
        """The observation with the reports in it, as old as the detector's delay has it."""
        delay, before = self.sight.errors.delay, self.sight.before

        def of(steps: int) -> tuple[Report, Foot]:
            place = Foot(kept.place[steps], kept.heading[steps], steps * jnp.asarray(bank.dt))
            return jax.tree.map(lambda leaf: leaf[steps], kept.reports), place

        (newest, here), (earlier, there) = of(delay), of(delay + before)
        nearest = nearest_first(newest, self.sight.vehicles)
        agents = vehicle_tokens(state, c, (nearest, earlier), (here, there))
        return replace(seen, agents=agents, road=line_tokens(nearest))


def nearest_first(report: Report, most: int) -> Report:
    """The same of so many vehicles, the nearest; padded where there are fewer."""
    kept = min(most, len(report.depth))
    chosen = jax.lax.top_k(jnp.where(report.seen, -report.depth, -jnp.inf), kept)[1]
    depth, left, right, seen = (
        jnp.pad(row[chosen], (0, most - kept)) for row in (report.depth, report.left, report.right, report.seen)
    )
    return Report(depth, left, right, seen, report.aside, report.lines)
