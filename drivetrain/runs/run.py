"""What a run is: its configuration, and the folder in which it lives.

RUN/config.json            the component tree, versions, device
RUN/checkpoints/STAGE/     of each stage: one every `checkpoint_every` updates (checkpoints.py says how they survive)
RUN/policies/STAGE/        with `keep_judged`: every policy that was judged, by its agent-steps
RUN/metrics.jsonl          one line a measurement; a resumed run drops what its checkpoint has not seen
RUN/events/                the same for TensorBoard
RUN/wandb/, RUN/wandb.id   the same for Weights & Biases, where it is asked for
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
from drivetrain.atomic import write_atomically
from drivetrain.banks.streamed import Streaming
from drivetrain.ending import EVALUATION, TRAINING
from drivetrain.env import Env
from drivetrain.fleet.group import Fleet
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Learning
from drivetrain.policy.base import Architecture
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.runs.configuration import from_json, read_config, to_json
from drivetrain.runs.criteria import Criterion, FewestFailures
from drivetrain.runs.wandb import Wandb
from drivetrain.sim.spawning.log import FromLog
from drivetrain.sim.towns import Town
from drivetrain.sim.traffic.replay import Replay
from drivetrain.types import InputError, component, replace

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
class Asked:
    """What is asked of drivers on maps without traffic, and on which of a dataset's maps; of nobody, by default."""

    maps: tuple[str, ...] = ()  # to learn on, by their names; none: no map, the run learns from recordings
    unseen: tuple[str, ...] = ()  # to be judged on besides
    town: Town = Town()
    judged: int = 8  # worlds of each, in which policies are judged
    seconds: float = 60.0  # in each

    def __bool__(self) -> bool:
        return bool(self.maps)


@component
class Stage(Learning):
    """One stage of a run: an algorithm and its optimiser, a budget, and the criterion by which the best is kept."""

    name: str = "learning"  # of its checkpoints, and of the driver that it leaves
    title: str = "Learning"  # on pages
    criterion: Criterion = FewestFailures()
    agent_steps: int = 1_000_000  # the budget
    evaluate_every: int = 20  # updates
    keep_judged: bool = False  # every policy that is judged stays, in RUN/policies/STAGE
    checkpoint_every: int = 20  # updates
    recorded: bool = False  # of a run on maps: this stage learns from the recordings in `more`


@component
class Run:
    """The whole configuration of one experiment."""

    name: str
    data: Data = Data()
    episode_seconds: float = 8.0  # drives are cut to episodes of at most this length to learn from, not to be judged by
    controlled: int = 1  # agents that are driven together in an episode that is learnt from
    more: tuple[Data, ...] = ()  # also learnt from (on maps: by `recorded` stages); their test drives stand apart
    own_share: float = 0.75  # of the episodes drawn to learn from, and of what chooses, where there are more datasets
    asked: Asked = Asked()
    env: Env = Env()
    policy: Architecture = DeepSetsSizes()
    stages: tuple[Stage, ...] = ()
    seed: int = 0
    stream: Streaming = Streaming()
    fleet: Fleet = Fleet()
    wandb: Wandb = Wandb()


def env_of(run: Run, stage: Stage) -> Env:
    """The environment in which a stage learns."""
    if run.asked and stage.recorded:
        return replace(on_recordings(run)[0], ending=TRAINING)
    return run.env


def on_recordings(run: Run) -> tuple[Env, float]:
    """The environment in which a run's policy drives among recorded traffic, and the metres between goals it needs.

    Of self-play, only the rules of where agents begin, of traffic and of endings change.
    """
    if not run.asked:
        return run.env, 0.0
    if run.asked.town.graph is not None:
        raise InputError(f"{run.name}: asked.town.graph: it goes by the lanes of a map, which recordings do not index")
    env = replace(run.env, traffic=Replay(), spawning=FromLog(), ending=EVALUATION)
    return env, 0.5 * (run.asked.town.nearest + run.asked.town.farthest)


def open_run(run: Run, folder: Path, resume: bool) -> Run:
    """Make a run's folder, or open that of an interrupted run and return its own configuration.

    Raises:
        InputError: the folder is not empty and `resume` was not asked for, or is not a run's.
    """
    if resume:
        return load_run(folder)
    if run.controlled > 1 and run.stream.slots:
        raise InputError(f"{run.name}: controlled: {run.controlled} (a stream has one agent an episode: leave out one)")
    if run.asked and run.stream.slots:
        raise InputError(f"{run.name}: stream: maps without traffic are not streamed (leave out one)")
    if run.fleet and run.stream.slots:
        raise InputError(f"{run.name}: fleet.actors: {run.fleet.actors} on a stream (leave out one)")
    if not run.stages:
        raise InputError(f"{run.name}: stages: none (name at least one in the recipe)")
    for stage in run.stages:
        run.fleet.check(stage)
        if run.asked and stage.recorded and not run.more:
            raise InputError(f"{run.name}: more: none (name the recordings that stage {stage.name} learns from)")
    first = run.stages[0].algorithm
    if isinstance(first, Ppo) and first.anchor:
        raise InputError(f"{run.name}: anchor: {first.anchor} (no stage comes before this one: clone first, or set 0)")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: not empty (continue it with --resume, or choose another --out)")
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "run": to_json(run),
        "versions": {"drivetrain": __version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "device": jax.devices()[0].device_kind,
        "devices": len(jax.devices()),
    }
    write_atomically(folder / "config.json", json.dumps(config, indent=1).encode())
    return run


def load_run(folder: Path) -> Run:
    """The configuration of a run's folder. Raises `InputError` where there is none."""
    run = from_json(read_config(folder).get("run"), str(folder / "config.json"))
    if not isinstance(run, Run):
        raise InputError(f"{folder / 'config.json'}: run: not a run's configuration (use the file that the run wrote)")
    return run
