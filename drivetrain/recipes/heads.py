"""A run with another head: how its policy chooses what to do."""

import dataclasses
import math
from pathlib import Path

from drivetrain.learn.bc import Bc
from drivetrain.policy.base import Head
from drivetrain.policy.categorical import CategoricalHead
from drivetrain.policy.joint import JointHead
from drivetrain.policy.mixture import MixtureHead
from drivetrain.policy.vocabulary import VocabularyHead
from drivetrain.runs.run import Run, Stage
from drivetrain.sim.dynamics.motions import Motions
from drivetrain.types import InputError, replace

HEADS: dict[str, Head] = {"columns": CategoricalHead(), "joint": JointHead(), "mixture": MixtureHead()}
"""Over the grid of the dynamics, each column of an action by itself or all combinations; or over actions themselves."""


def with_head(run: Run, word: str) -> Run:
    """The run with a head of `HEADS`, by its name, or one over the motions of a vocabulary, by its file.

    Motions are followed by the run's own dynamics, and a cloned expert looks as far ahead as they last. Raises
    `InputError` where the file is no vocabulary, or the policy has no head.
    """
    if "head" not in {field.name for field in dataclasses.fields(run.policy)}:  # type: ignore[arg-type]
        raise InputError(f"{word}: head: {type(run.policy).__name__} has none to change (name another recipe)")
    if word in HEADS:
        return replace(run, policy=replace(run.policy, head=HEADS[word]))  # type: ignore[call-arg]
    if not Path(word).is_file():
        raise InputError(f"{word}: no such head (use one of {', '.join(HEADS)}, or the file of a vocabulary)")
    motions = Motions(word, Motions(word).vocabulary().digest, run.env.dynamics)
    lasting = motions.vocabulary().dt * motions.vocabulary().motions.shape[2]
    return replace(
        run,
        env=replace(run.env, dynamics=motions),
        policy=replace(run.policy, head=VocabularyHead()),  # type: ignore[call-arg]
        stages=tuple(_looking(stage, math.ceil(lasting / run.data.dt - 1e-6)) for stage in run.stages),
    )


def _looking(stage: Stage, steps: int) -> Stage:
    algorithm = stage.algorithm
    if not isinstance(algorithm, Bc) or algorithm.horizon >= steps:
        return stage
    return replace(stage, algorithm=replace(algorithm, horizon=steps))
