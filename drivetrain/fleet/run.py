"""What a run is: its configuration, and the folder in which it lives.

RUN/config.json            the component tree, versions, device
RUN/checkpoints/bc/        cloning: one checkpoint an epoch       (checkpoints.py says how they survive)
RUN/checkpoints/bc_ppo/    reinforcement learning: one every `checkpoint_every` updates
RUN/metrics.jsonl          one line a measurement; a resumed run drops what its checkpoint has not seen
RUN/events/                the same for TensorBoard
RUN/evaluation.json        one entry a policy
RUN/replay.safetensors     the drives of the evaluation, for the report
RUN/report.html
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from drivetrain import __version__
from drivetrain.env import Env
from drivetrain.fleet.checkpoints import write_atomically
from drivetrain.fleet.configuration import from_json, read_config, to_json
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.policy.perceiver import Sizes
from drivetrain.types import InputError, component

PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy")


@component
class Data:
    """Where recordings come from, and the dataset that is made of them where it does not stand yet."""

    format: str = "commonroad"
    source: tuple[str, ...] = ("datasets/ngsim",)
    dataset: str = "build/ngsim"
    dt: float = 0.2  # s
    workers: int = 2

    @property
    def name(self) -> str:
        """The dataset's own name: that of its folder."""
        return Path(self.dataset).name


@component
class Streaming:
    """Recordings that come from the shards while training runs, for datasets larger than memory."""

    slots: int = 0  # recordings on the device at once, of the part learnt from and of those judged on; 0: all of them
    turnover: int = 8  # recordings replaced before each update of PPO; in cloning, all of them
    episodes: int = 4  # of a recording at once, drawn from its egos
    threads: int = 2  # that read and prepare
    ahead: int = 16  # recordings of each dataset read ahead, in memory


@component
class Cloning:
    """Behavioural cloning until the validation loss stops falling."""

    loss: Bc = Bc()
    optimiser: Optimiser = Optimiser()
    batch: int = 1024  # agent-steps
    epochs: int = 40  # at most
    patience: int = 3  # epochs without a lower validation loss


@component
class Improvement:
    """PPO from where cloning ended."""

    loss: Ppo = Ppo()
    optimiser: Optimiser = Optimiser()
    scenes: int = 128  # simulated at once
    window: int = 32  # steps of a rollout
    agent_steps: int = 1_000_000  # the budget
    epochs: int = 2  # passes over each window
    minibatches: int = 4
    evaluate_every: int = 20  # updates
    checkpoint_every: int = 20  # updates


@component
class Run:
    """The whole configuration of one experiment."""

    name: str
    data: Data = Data()
    episode_seconds: float = 8.0  # drives are cut to episodes of at most this length to learn from, not to be judged by
    more: tuple[Data, ...] = ()  # also learnt from; they choose no policy, and their test drives stand apart
    own_share: float = 0.75  # of the episodes drawn in reinforcement learning, where there are more datasets
    env: Env = Env()
    policy: Sizes = Sizes(width=64, heads=4, latents=2)
    cloning: Cloning = Cloning()
    improvement: Improvement = Improvement()
    seed: int = 0
    stream: Streaming = Streaming()


def open_run(run: Run, folder: Path, resume: bool) -> Run:
    """Make a run's folder, or open that of an interrupted run and return its own configuration.

    Raises:
        InputError: the folder is not empty and `resume` was not asked for, or is not a run's.
    """
    if resume:
        return load_run(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: not empty (continue it with --resume, or choose another --out)")
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "run": to_json(run),
        "versions": {"drivetrain": __version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "device": jax.devices()[0].device_kind,
    }
    write_atomically(folder / "config.json", json.dumps(config, indent=1).encode())
    return run


def load_run(folder: Path) -> Run:
    """The configuration of a run's folder. Raises `InputError` where there is none."""
    run = from_json(read_config(folder).get("run"), str(folder / "config.json"))
    if not isinstance(run, Run):
        raise InputError(f"{folder / 'config.json'}: run: not a run's configuration (use the file that the run wrote)")
    return run
