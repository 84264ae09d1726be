"""`make train`: the shipped recordings, on a laptop's CPU, in minutes; and the same at a GPU's batch and budget."""

from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.policy.presets import POOLED
from drivetrain.runs.criteria import FewestFailures, LowestLoss
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.types import replace

SCENES, WINDOW, AGENT_STEPS = 256, 32, 20_000_000
KEPT, EPOCHS, MINIBATCHES = 0.25, 4, 2
EPISODE_SECONDS, STEPS = 8.0, 40


def quickstart() -> Run:
    """BC, then BC+PPO, of a small policy on recorded traffic of the United States and simulated traffic of Bologna.

    The recordings are nearly all of a freeway; at junctions, it is the simulated traffic that one can learn from. On a
    CPU driving costs a quarter of learning, so a quarter of what was driven is learnt from: the largest advantages.
    """
    updates = -(-AGENT_STEPS // (SCENES * WINDOW))
    return Run(
        name="quickstart",
        more=(Data(format="recording", source=("datasets/bologna",), dataset="build/bologna"),),
        episode_seconds=EPISODE_SECONDS,
        policy=POOLED,
        stages=(
            Stage(
                name="bc",
                title="BC",
                algorithm=Bc(longest=STEPS, value_scale=1e-2),
                optimiser=Optimiser(learning_rate=1e-3, warmup=50),
                criterion=LowestLoss(patience=4),
                scenes=128,
                minibatches=10,
                epochs=2,
                agent_steps=800_000,
                evaluate_every=8,
                checkpoint_every=16,
            ),
            Stage(
                name="bc_ppo",
                title="BC + PPO",
                algorithm=Ppo(window=WINDOW, value_scale=0.05, entropy=3e-4),
                optimiser=Optimiser(learning_rate=1e-3, steps=updates * EPOCHS * MINIBATCHES, final=0.1, clip=0.5),
                criterion=FewestFailures(slack=0.02),  # a standard error on so few episodes
                scenes=SCENES,
                kept=KEPT,
                epochs=EPOCHS,
                minibatches=MINIBATCHES,
                averaging=0.98,
                agent_steps=AGENT_STEPS,
                evaluate_every=64,
                checkpoint_every=64,
            ),
        ),
    )


def quickstart_gpu() -> Run:
    """The same problem and policy with four times the scenes, and as many steps as a GPU drives in minutes.

    All that was driven is learnt from, in two passes and larger minibatches: learning is cheap there.
    """
    run = quickstart()
    cloning, improvement = run.stages
    steps, scenes, epochs, minibatches = 67_000_000, 1024, 2, 8
    updates = -(-steps // (scenes * WINDOW))
    improvement = replace(
        improvement,
        optimiser=replace(improvement.optimiser, learning_rate=3e-4, steps=updates * epochs * minibatches),
        scenes=scenes,
        kept=1.0,
        agent_steps=steps,
        epochs=epochs,
        minibatches=minibatches,
    )
    return replace(run, name="quickstart-gpu", stages=(cloning, improvement))
