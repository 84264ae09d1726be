"""The quickstart's problem without a critic: BC, then LOOP (arXiv 2502.01600)."""

from drivetrain.learn.loop import Loop
from drivetrain.recipes.quickstart import STEPS, quickstart
from drivetrain.runs.run import Run
from drivetrain.types import replace


def quickstart_loop() -> Run:
    """Six rollouts of each of 24 scenes an update; no value is learnt, in cloning either, and none is in memory."""
    run = quickstart()
    cloning, improvement = run.stages
    algorithm = Loop(rollouts=6, longest=STEPS)
    scenes = 24
    updates = -(-improvement.agent_steps // (scenes * algorithm.steps()))
    return replace(
        run,
        name="quickstart-loop",
        policy=replace(run.policy, critic=False),
        stages=(
            replace(cloning, algorithm=replace(cloning.algorithm, value_scale=0.0)),
            replace(
                improvement,
                name="bc_loop",
                title="BC + LOOP",
                algorithm=algorithm,
                optimiser=replace(improvement.optimiser, steps=updates * improvement.epochs * improvement.minibatches),
                scenes=scenes,
            ),
        ),
    )
