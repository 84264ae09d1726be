"""The quickstart's problem through the simulator: analytic policy gradients (arXiv 2409.07965), rewards among them."""

from drivetrain.learn.apg import Apg
from drivetrain.learn.update import Optimiser
from drivetrain.policy.mixture import MixtureHead
from drivetrain.recipes.quickstart import STEPS, quickstart
from drivetrain.runs.criteria import FewestFailures
from drivetrain.runs.run import Run, Stage
from drivetrain.types import replace


def quickstart_apg() -> Run:
    """One stage, no cloning and no critic: gradients through five steps of the dynamics, and of the margins' costs."""
    run = quickstart()
    scenes, agent_steps, minibatches = 64, 1_500_000, 4
    updates = -(-agent_steps // (scenes * STEPS))
    return replace(
        run,
        name="quickstart-apg",
        policy=replace(run.policy, critic=False, head=MixtureHead()),
        stages=(
            Stage(
                name="apg",
                title="APG",
                algorithm=Apg(longest=STEPS, horizon=5, margin_price=1.0),
                optimiser=Optimiser(learning_rate=1e-3, warmup=20, steps=updates * minibatches, final=0.1, clip=0.5),
                criterion=FewestFailures(slack=0.02),
                scenes=scenes,
                minibatches=minibatches,
                averaging=0.98,
                agent_steps=agent_steps,
                evaluate_every=64,
                checkpoint_every=64,
            ),
        ),
    )
