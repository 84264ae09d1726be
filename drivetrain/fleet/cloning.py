"""Cloning as a stage of a run: epochs until the validation loss has not fallen for `patience` of them.

An epoch passes once over the training part. Where that is streamed, it comes in banks of `slots` recordings: the expert
drives one, the policy learns from what it did, and the next one takes its place.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.data.streaming import State
from drivetrain.evaluate.pieces import Chunks, Split
from drivetrain.fleet.feeding import Feed
from drivetrain.fleet.journal import Journal
from drivetrain.fleet.local import (
    GatherFigures,
    clone_bank,
    clone_epoch,
    clone_loss,
    clone_sums,
    demonstrate,
    demonstrate_bank,
    scalars,
    tracking,
)
from drivetrain.fleet.run import Run
from drivetrain.fleet.site import NOTHING, Site
from drivetrain.fleet.splits import longest_episode, open_feed, round_length
from drivetrain.learn.bc import BcFigures
from drivetrain.learn.update import TrainState, begin
from drivetrain.policy.perceiver import Perceiver
from drivetrain.sim.refilling import refill
from drivetrain.types import Array, Key, record

STAGE = "bc"


@record
class Cloned:
    """Where cloning stands after an epoch."""

    train: TrainState
    best: Perceiver
    best_loss: Array
    stale: Array  # epochs since


Pass = Callable[[TrainState], tuple[TrainState, BcFigures]]
"""One epoch: what was learnt, and the means of its figures."""
Held = Callable[[Perceiver], BcFigures]
"""A policy's figures on the validation part."""


def clone(run: Run, train: Split | None, val: Iterable[Split], begun: tuple[Perceiver, Key], site: Site):
    """Clone from a policy (`begun`, with the key that training carries): `Cloned`, and the journal's length then.

    `train` is resident, or None where a run is streamed.
    """
    policy, key = begun
    settings = run.cloning
    best = jax.tree.map(jnp.copy, policy)
    fresh = Cloned(begin(settings.optimiser, policy, key), best, jnp.asarray(jnp.inf), jnp.asarray(0))
    state, notes = site.restore(STAGE, lambda: fresh) or (fresh, NOTHING)
    journal, epoch = Journal(site.folder, notes["lines"]), notes["step"]
    if epoch < settings.epochs and int(state.stale) < settings.patience:
        teacher = Resident(run, train) if train is not None else Streamed(run, notes["stream"])
        held = _held(run, val)
        with site.progress("clone", total=settings.epochs, unit="epochs", done=epoch) as show:
            while epoch < settings.epochs and int(state.stale) < settings.patience:
                began = time.monotonic()
                learnt, figures = teacher.epoch(state.train)
                if epoch == 0:
                    journal.write("expert", 0, teacher.tracking)
                validation = held(learnt.policy)  # type: ignore[arg-type]
                state, epoch = _keep_lower(state, learnt, validation.loss), epoch + 1
                row = scalars(figures) | {f"val_{name}": value for name, value in scalars(validation).items()}
                journal.write(STAGE, epoch, row | {"seconds": time.monotonic() - began})
                site.save(STAGE, epoch, state, journal.lines, teacher.state())
                show(epoch, f"validation loss {float(validation.loss):.3f}, lowest {float(state.best_loss):.3f}")
        teacher.close()
    journal.close()
    return state, journal.lines


def _keep_lower(state: Cloned, train: TrainState, loss: Array) -> Cloned:
    lower = bool(loss < state.best_loss)
    return Cloned(
        train=train,
        best=jax.tree.map(jnp.copy, train.policy) if lower else state.best,
        best_loss=loss if lower else state.best_loss,
        stale=jnp.asarray(0 if lower else int(state.stale) + 1),
    )


def _held(run: Run, val: Iterable[Split]) -> Held:
    """The figures on the validation part, whose demonstrations stay where it is resident."""
    env, settings = run.env, run.cloning
    if not isinstance(val, Chunks):
        (split,) = val
        held, _ = demonstrate(env, split.bank, settings.loss)
        return lambda policy: clone_loss(env, settings.loss, settings.batch, split.bank, policy, held)
    steps = val.longest()

    def figures(policy: Perceiver) -> BcFigures:
        sums, weights = [], []
        for piece in val:
            shown, known, _ = demonstrate_bank(env, piece.bank, settings.loss, steps, len(piece.rows()))
            sums.append(clone_sums(env, settings.loss, settings.batch, piece.bank, policy, shown, known))
            weights.append(known)
        return jax.tree.map(lambda *rows: sum(rows) / sum(weights), *sums)

    return figures


class Resident:
    """All demonstrations at once."""

    def __init__(self, run: Run, split: Split):
        """The expert drives every episode."""
        self.run, self.bank = run, split.bank
        self.shown, self.tracking = demonstrate(run.env, self.bank, run.cloning.loss)

    def epoch(self, train: TrainState) -> tuple[TrainState, BcFigures]:
        """One pass over them, shuffled."""
        return clone_epoch(self.run.env, self.run.cloning, self.bank, train, self.shown)

    def state(self) -> State | None:
        """Nothing that a checkpoint needs."""
        return None

    def close(self) -> None:
        """Nothing is open."""


class Streamed:
    """A round of the stream in banks, one after the other."""

    def __init__(self, run: Run, state: State | None):
        """Opens the stream where the epochs before ended (`state`: theirs)."""
        self.run, self.tracking = run, {}
        each = run.stream.slots
        self.feed: Feed = open_feed(
            run, each, None if state is None else state | {"position": state["position"] + each}
        )
        self.bank, self.due = self.feed.bank, True  # due: not learnt from yet
        self.banks, self.steps = round_length(run), longest_episode(self.feed.slots, self.bank)

    def epoch(self, train: TrainState) -> tuple[TrainState, BcFigures]:
        """Every bank of a round: demonstrated, learnt from, replaced."""
        env, settings = self.run.env, self.run.cloning
        driven: list[GatherFigures] = []
        learnt: list[Any] = []
        for _ in range(self.banks):
            if not self.due:
                lot = self.feed.lot()
                self.bank = refill(self.bank, lot.pieces, lot.into)
            self.due = False
            shown, known, figures = demonstrate_bank(env, self.bank, settings.loss, self.steps)
            train, means = clone_bank(env, settings, self.bank, train, shown, known)
            driven.append(figures)
            learnt.append((means, max(int(known) // settings.batch, 1)))
        self.tracking = tracking(jax.tree.map(lambda *rows: np.concatenate(rows), *driven))
        batches = sum(count for _, count in learnt)
        return train, jax.tree.map(
            lambda *rows: sum(row * count for row, (_, count) in zip(rows, learnt, strict=True)) / batches,
            *(means for means, _ in learnt),
        )

    def state(self) -> State:
        """Where the stream stood after the last bank learnt from."""
        return self.feed.state()

    def close(self) -> None:
        """Stop the stream."""
        self.feed.close()
