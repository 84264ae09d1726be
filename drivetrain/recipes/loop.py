"""The quickstart's problem without a critic: BC, then LOOP (arXiv 2502.01600)."""

from drivetrain.learn.loop import Loop
from drivetrain.recipes.quickstart import STEPS, quickstart
from drivetrain.runs.run import Run
from drivetrain.types import replace


def quickstart_loop() -> Run:
    """Six rollouts of each of 24 scenes an update; no value is learnt, in cloning either, and none is in memory.

    Two passes over all of them, as in the paper.
    """
    run = quickstart()
    cloning, improvement = run.stages
    algorithm = Loop(rollouts=6, longest=STEPS)
    scenes, agent_steps, epochs, minibatches = 24, 6_000_000, 2, 4
    steps = -(-agent_steps // (scenes * algorithm.steps())) * epochs * minibatches
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
                optimiser=replace(improvement.optimiser, learning_rate=6e-4, steps=steps),
                scenes=scenes,
                kept=1.0,
                epochs=epochs,
                minibatches=minibatches,
                agent_steps=agent_steps,
            ),
        ),
    )
