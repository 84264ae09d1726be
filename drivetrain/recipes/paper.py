"""The learning problem of "Scaling Is All You Need" (arXiv 2312.15122) at its own sizes, for GPUs.

Observation sizes, parameter counts, batch sizes, learning rates and loss scales are the paper's (table 4). What it
leaves open is ours and stands in docs/problem.md. One process simulates and learns here; the paper used groups.
"""

from drivetrain.env import Env
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.observe.sight import PAPER
from drivetrain.policy.perceiver import PerceiverSizes
from drivetrain.policy.presets import P0_75M, P2_5M, P25M
from drivetrain.runs.criteria import FewestFailures, LowestLoss
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.types import replace

SEQUENCES, WINDOW = 512, 32
"""Batch and sequence length of reinforcement learning (table 4)."""
AGENT_STEPS, EVALUATE_EVERY = 2_500_000_000, 20_000_000
"""The paper's budget, and its steps between evaluations."""
EPISODE_SECONDS, LONGEST = 30.0, 150
"""Its episodes, and their steps at 5 Hz."""
CLONING_STEPS = 216_000_000
"""20 epochs of its smallest dataset, 600 h; a batch is 256 episodes, about its 32,768 agent-steps."""


def paper(name: str, sizes: PerceiverSizes) -> Run:
    """BC, then BC+PPO, of one of the paper's three policies on a dataset of one's own (`--data.source`)."""
    steps, scenes = SEQUENCES * WINDOW, 256
    return Run(
        name=name,
        data=Data(dataset="build/paper"),
        episode_seconds=EPISODE_SECONDS,
        env=Env(observer=PAPER),
        policy=replace(sizes, dtype="bfloat16"),
        stages=(
            Stage(
                name="bc",
                title="BC",
                algorithm=Bc(longest=LONGEST, value_scale=1e-4),
                optimiser=Optimiser(learning_rate=2e-3),
                criterion=LowestLoss(),
                scenes=scenes,
                minibatches=1,
                agent_steps=CLONING_STEPS,
                evaluate_every=20,
                checkpoint_every=20,
            ),
            Stage(
                name="bc_ppo",
                title="BC + PPO",
                algorithm=Ppo(window=WINDOW, clip=0.3, value_scale=1e-2, entropy=3e-2),
                optimiser=Optimiser(learning_rate=5.6e-5),
                criterion=FewestFailures(),
                scenes=SEQUENCES,
                minibatches=1,
                agent_steps=AGENT_STEPS,
                evaluate_every=EVALUATE_EVERY // steps,
                checkpoint_every=EVALUATE_EVERY // steps // 10,
            ),
        ),
    )


def paper_750k() -> Run:
    """0.75 million parameters."""
    return paper("paper-750k", P0_75M)


def paper_2_5m() -> Run:
    """2.5 million parameters."""
    return paper("paper-2.5m", P2_5M)


def paper_25m() -> Run:
    """25 million parameters."""
    return paper("paper-25m", P25M)
