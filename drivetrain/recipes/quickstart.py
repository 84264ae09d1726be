"""`make train`: the shipped recordings, on a laptop's CPU, in minutes."""

from drivetrain.fleet.run import Cloning, Improvement, Run
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.policy.presets import TINY


def quickstart() -> Run:
    """BC, then BC+PPO, of a small policy on NGSIM."""
    return Run(
        name="quickstart",
        policy=TINY,
        cloning=Cloning(
            loss=Bc(value_scale=1e-2),
            optimiser=Optimiser(learning_rate=1e-3, warmup=50),
            batch=512,
        ),
        improvement=Improvement(
            loss=Ppo(value_scale=0.1, entropy=1e-3),
            optimiser=Optimiser(learning_rate=3e-4, clip=0.5),
        ),
    )
