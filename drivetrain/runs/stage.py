"""The loop, once, for every stage of every run: renew the scenes, update, judge, keep the best, save.

    source ──bank──▶ update ──policy──▶ judging ──best──▶ the next stage, or the evaluation
      ▲                │                   │
      └──── state ── checkpoint ◀──────── journal

A stage that was interrupted goes on from its newest good checkpoint; one that had come to its end gives its best.
"""

import math
import time
from collections.abc import Callable
from contextlib import closing

import jax
import jax.numpy as jnp

from drivetrain.banks.source import Source
from drivetrain.data.store.streaming import State
from drivetrain.env import Env
from drivetrain.fleet.group import Group
from drivetrain.fleet.local import begin, placed
from drivetrain.learn.algorithm import TrainState
from drivetrain.parallel import leads
from drivetrain.policy.anchored import acting
from drivetrain.policy.base import Policy
from drivetrain.runs.criteria import Validation
from drivetrain.runs.journal import Journal
from drivetrain.runs.judging import AtOnce, Beside, Judging
from drivetrain.runs.run import Stage
from drivetrain.runs.site import NOTHING, Site
from drivetrain.types import InputError, Key, record, replace

OpenSource = Callable[[State | None], Source]
"""Where scenes come from, from where a state was taken."""


@record
class Best:
    """What is taken from a checkpoint of a stage that is over: the policy that did best on validation."""

    best: Policy


def run_stage(
    stage: Stage, env: Env, policy: Policy, key: Key, site: Site, lines: int, sources: OpenSource, val: Validation
) -> tuple[Policy, int]:
    """Train from a policy until the budget is spent or patience is over: the best policy, and the journal's length.

    `lines` are those of the journal before the stage. The key is split in two: the scenes' and the training state's.
    Raises `InputError` where a loss is no number: what was kept before stays.
    """
    policy, notes = stage.algorithm.begin(policy), site.notes(stage.name)
    if notes["done"]:
        restored, notes = site.restore(stage.name, lambda: Best(policy)) or (Best(policy), notes)
        return acting(restored.best), notes["lines"]
    source = sources(notes["stream"])
    keys = jax.random.split(key)

    def first() -> TrainState:
        state = begin(env, stage, policy, source.bank, source.episodes, (keys[0], keys[1]))
        return replace(state, pending=jax.tree.map(jnp.copy, state.judged)) if site.fleet.evaluator else state

    state, notes = site.restore(stage.name, first) or (first(), NOTHING | {"lines": lines})
    state, journal = placed(state), Journal(site.folder, notes["lines"], site.sinks, leads())
    if site.fleet.evaluator:
        judging = Beside(stage, journal, site, state, notes["pending"])
    else:
        judging = AtOnce(stage, journal, stage.criterion.open(env, stage.algorithm, val))
    try:
        return _improve(stage, env, state, notes["step"], source, judging, site)
    finally:
        source.close()


def _improve(
    stage: Stage, env: Env, state: TrainState, done: int, source: Source, judging: Judging, site: Site
) -> tuple[Policy, int]:
    """Updates from the `done`-th on."""
    steps = stage.scenes * stage.algorithm.steps() * source.bank.episodes.track.shape[1]
    updates = -(-stage.agent_steps // steps)
    if done == 0:
        state = _offered(stage, judging, state, site, 0, {})
    with (
        closing(Group(site.fleet, site.desk, stage.name)) as group,
        site.progress(stage.name, total=updates * steps, unit="agent-steps", done=done * steps) as show,
    ):
        while done < updates and not _enough(stage, state):
            began = time.monotonic()
            state = source.renew(env, stage.algorithm, state)
            state, gathered, learnt = group.update(env, stage, source.bank, source.episodes, state)
            done += 1
            told = stage.algorithm.describe_loss(jax.device_get(learnt))
            if not math.isfinite(told["loss"]):  # before anything of it is kept
                raise InputError(
                    f"{site.folder}: {stage.name}: loss: {told['loss']} after {done * steps:,} agent-steps "
                    "(begin again with a lower optimiser.learning_rate or optimiser.clip)"
                )
            if done % stage.evaluate_every == 0 or done == updates:
                row = stage.algorithm.describe(gathered) | told
                row |= {"seconds": time.monotonic() - began} | group.figures()
                row |= stage.threshold.describe(state.sieve)
                state = _offered(stage, judging, state, site, done * steps, row)
            over = done == updates or _enough(stage, state)
            if over:
                state = judging.settle(state)
            if done % stage.checkpoint_every == 0 or over:
                notes = {"lines": judging.journal.lines, "pending": judging.pending}
                site.save(stage.name, done, state, notes | {"stream": source.state(), "done": over})
            show(done * steps, f"best on validation {float(state.best_score):.4g}")
    judging.close()
    judging.journal.close()
    return jax.tree.map(jnp.copy, acting(state.best)), judging.journal.lines


def _enough(stage: Stage, state: TrainState) -> bool:
    return 0 < stage.criterion.patience <= int(state.stale)


def _offered(
    stage: Stage, judging: Judging, state: TrainState, site: Site, step: int, row: dict[str, float]
) -> TrainState:
    """Have the present policy judged, and keep it where all that were judged are kept."""
    if stage.keep_judged:
        site.keep(stage.name, step, Best(acting(state.judged)))
    return judging.offer(state, step, row)
