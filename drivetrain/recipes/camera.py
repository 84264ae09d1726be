"""`camera-driver`: what the quickstart learns, by one who is told of others and of its lane what a camera reports."""

from drivetrain.learn.dagger import Dagger
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.observe.camera import CameraSight
from drivetrain.perception.fitting import read_errors
from drivetrain.recipes.quickstart import SCENES, WINDOW, quickstart
from drivetrain.runs.criteria import FewestFailures
from drivetrain.runs.run import Run, Stage
from drivetrain.types import InputError, replace

LESSONS, PRACTICE = 3_000_000, 4_000_000
"""Agent-steps of the stages."""
LESSON_PASSES, LESSON_PARTS = 2, 4
KEPT, EPOCHS, MINIBATCHES = 0.25, 4, 2


def camera_driver() -> Run:
    """DAgger from a privileged teacher, a run of the quickstart, then PPO on what the camera reports."""
    run, rules = quickstart(), Ppo(window=WINDOW, value_scale=0.05, entropy=3e-4)
    lessons, updates = (-(-steps // (SCENES * WINDOW)) for steps in (LESSONS, PRACTICE))
    return replace(
        run,
        name="camera-driver",
        env=replace(run.env, observer=CameraSight()),
        stages=(
            Stage(
                name="dagger",
                title="DAgger",
                algorithm=Dagger(taught_in=run.env, built=run.policy, window=WINDOW),
                optimiser=Optimiser(
                    learning_rate=1e-3, warmup=50, steps=lessons * LESSON_PASSES * LESSON_PARTS, final=0.1
                ),
                criterion=FewestFailures(slack=0.02),
                scenes=SCENES,
                epochs=LESSON_PASSES,
                minibatches=LESSON_PARTS,
                averaging=0.98,
                agent_steps=LESSONS,
                evaluate_every=64,
                checkpoint_every=64,
            ),
            Stage(
                name="dagger_ppo",
                title="DAgger + PPO",
                algorithm=rules,
                optimiser=Optimiser(learning_rate=5e-4, steps=updates * EPOCHS * MINIBATCHES, final=0.1, clip=0.5),
                criterion=FewestFailures(slack=0.02),
                scenes=SCENES,
                kept=KEPT,
                epochs=EPOCHS,
                minibatches=MINIBATCHES,
                averaging=0.98,
                agent_steps=PRACTICE,
                evaluate_every=64,
                checkpoint_every=64,
            ),
        ),
    )


def with_errors(run: Run, file: str) -> Run:
    """A run whose drivers are told what a detector of these errors reports. Raises `InputError` where none sees so."""
    observer = run.env.observer
    if not isinstance(observer, CameraSight):
        raise InputError(f"{run.name}: errors: nobody drives by a camera (use the recipe camera-driver)")
    return replace(run, env=replace(run.env, observer=replace(observer, errors=read_errors(file))))
