"""`make train`: the shipped recordings, on a laptop's CPU, in minutes."""

from drivetrain.fleet.run import Cloning, Data, Improvement, Run
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.policy.presets import TINY

SCENES, WINDOW, AGENT_STEPS = 128, 32, 1_000_000
EPOCHS, MINIBATCHES = 2, 4


def quickstart() -> Run:
    """BC, then BC+PPO, of a small policy on recorded traffic of the United States and simulated traffic of Bologna.

    The recordings are nearly all of a freeway; at junctions, it is the simulated traffic that one can learn from.
    """
    updates = -(-AGENT_STEPS // (SCENES * WINDOW))
    return Run(
        name="quickstart",
        more=(Data(format="recording", source=("datasets/bologna",), dataset="build/bologna"),),
        policy=TINY,
        cloning=Cloning(
            loss=Bc(value_scale=1e-2),
            optimiser=Optimiser(learning_rate=1e-3, warmup=50),
            batch=512,
            epochs=16,
            patience=4,
        ),
        improvement=Improvement(
            loss=Ppo(value_scale=0.1, entropy=3e-3),
            optimiser=Optimiser(learning_rate=3e-4, steps=updates * EPOCHS * MINIBATCHES, final=0.1, clip=0.5),
            scenes=SCENES,
            window=WINDOW,
            agent_steps=AGENT_STEPS,
            epochs=EPOCHS,
            minibatches=MINIBATCHES,
            evaluate_every=10,
            checkpoint_every=10,
        ),
    )
