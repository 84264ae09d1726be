"""Where a stage's teacher comes from: a trained policy, read once when the stage begins."""

from drivetrain.learn.dagger import Dagger
from drivetrain.policy.base import Policy
from drivetrain.policy.taught import Taught
from drivetrain.runs.run import Run, Stage
from drivetrain.runs.trained import Trained, load_policy
from drivetrain.types import InputError, replace


def beside_teacher(stage: Stage, policy: Policy) -> Policy:
    """The policy beside its stage's teacher; itself where the stage has none.

    Raises `InputError` where the teacher is not to be had, or another than the stage was made for.
    """
    if not isinstance(stage.algorithm, Dagger):
        return policy
    trained, algorithm = _trained(stage.algorithm.teacher), stage.algorithm
    if (trained.run.env.observer, trained.run.policy) != (algorithm.taught_in.observer, algorithm.built):
        raise InputError(
            f"{algorithm.teacher}: teacher: sees or is built otherwise than the stage has it (--teacher RUN)"
        )
    return Taught(policy, trained.policy)


def with_teacher(run: Run, place: str) -> Run:
    """A run whose stages that have a teacher are taught by the policy of another run, a checkpoint or an exported one.

    Raises `InputError` where there is none, where it acts by other dynamics, and where no stage has a teacher.
    """
    trained = _trained(place)
    if trained.run.env.dynamics != run.env.dynamics:
        raise InputError(f"{place}: teacher: drives by other dynamics than {run.name} (name a run of the same)")
    if not any(isinstance(stage.algorithm, Dagger) for stage in run.stages):
        raise InputError(f"{run.name}: teacher: no stage has one (use a recipe that learns from one: camera-driver)")

    def taught(stage: Stage) -> Stage:
        if not isinstance(stage.algorithm, Dagger):
            return stage
        return replace(
            stage,
            algorithm=replace(stage.algorithm, teacher=place, taught_in=trained.run.env, built=trained.run.policy),
        )

    return replace(run, stages=tuple(taught(stage) for stage in run.stages))


def _trained(place: str) -> Trained:
    if not place:
        raise InputError("teacher: none (name a run with --teacher RUN: train one with `drivetrain train quickstart`)")
    return load_policy(place)
