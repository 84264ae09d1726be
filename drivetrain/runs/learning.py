"""What a run learns, and from what: its stages, one after the other, each from the best of the one before."""

import jax

from drivetrain.banks.part import Part
from drivetrain.banks.resident import Resident
from drivetrain.banks.source import Source
from drivetrain.banks.streamed import Streamed, open_feed
from drivetrain.banks.towns import TownSource, Worlds
from drivetrain.data.store.streaming import State
from drivetrain.fleet.away import Ground
from drivetrain.policy.base import Policy
from drivetrain.runs.criteria import Judge, Validation
from drivetrain.runs.run import Data, Run, Stage, env_of, on_recordings
from drivetrain.runs.site import Site
from drivetrain.runs.stage import OpenSource, run_stage
from drivetrain.runs.teaching import beside_teacher


def datasets(run: Run) -> tuple[Data, ...]:
    """The run's own dataset, and those that it also learns from."""
    return (run.data, *run.more)


def run_stages(run: Run, site: Site) -> dict[str, Policy]:
    """The best policy of every stage, by its name, in their order."""
    key = jax.random.key(run.seed)
    policy = jax.jit(lambda key: run.policy.build(run.env, key))(jax.random.fold_in(key, len(run.stages)))
    opened: dict[bool, tuple[OpenSource, Validation]] = {}
    best, lines = {}, 0
    for number, stage in enumerate(run.stages):
        own_key, where = jax.random.fold_in(key, number), _in_worlds(run, stage)
        if where not in opened:
            opened[where] = sources_of(run, stage), validation_of(run, stage)
        policy = beside_teacher(stage, policy)
        policy, lines = run_stage(stage, env_of(run, stage), policy, own_key, site, lines, *opened[where])
        best[stage.name] = policy
    return best


def _in_worlds(run: Run, stage: Stage) -> bool:
    return bool(run.asked) and not stage.recorded


def validation_of(run: Run, stage: Stage) -> Validation:
    """What a stage's policies are judged on: worlds on maps, or recordings."""
    if _in_worlds(run, stage):
        judged = run.asked.judged, round(run.asked.seconds / run.data.dt)
        return Validation((), 1.0, worlds=worlds_of(run, run.asked.maps, run.seed + 1), judged=judged)
    env, goals = on_recordings(run)
    paths, share = env.traffic.needs_paths, _own_share(run)
    return Validation(folders(run), share, run.stream.slots, run.episode_seconds, paths, goals)


def judge_of(run: Run, stage: Stage) -> Judge:
    """Who judges a stage's policies."""
    return stage.criterion.open(env_of(run, stage), stage.algorithm, validation_of(run, stage))


def shapes_of(run: Run, stage: Stage) -> Policy:
    """Of a stage's policies, as they are learnt."""
    return jax.eval_shape(lambda: stage.algorithm.begin(run.policy.build(run.env, jax.random.key(0))))


def ground_of(run: Run, name: str) -> Ground:
    """What an actor that is away drives on in a stage."""
    stage = next(stage for stage in run.stages if stage.name == name)
    source = sources_of(run, stage)(None)
    return Ground(env_of(run, stage), stage.algorithm, source.bank, source.episodes, shapes_of(run, stage))


def _own_share(run: Run) -> float:
    return run.own_share if len(folders(run)) > 1 else 1.0


def sources_of(run: Run, stage: Stage) -> OpenSource:
    """What opens a stage's scenes."""
    if _in_worlds(run, stage):
        source = TownSource(worlds_of(run, run.asked.maps, run.seed))
        return lambda state: source
    env, _ = on_recordings(run)
    those, paths, share = folders(run), env.traffic.needs_paths, _own_share(run)
    resident = training_part(run)

    def open_source(state: State | None) -> Source:
        if run.stream.slots:
            return Streamed(open_feed(those, run.stream, share, run.episode_seconds, paths, run.seed, state))
        return Resident(resident, share)

    return open_source


def recordings(run: Run) -> tuple[Data, ...]:
    """The datasets of a run that hold recorded drives; of a run on maps, those of `more` alone."""
    return run.more if run.asked else datasets(run)


def folders(run: Run) -> tuple[str, ...]:
    """Where those datasets stand."""
    return tuple(data.dataset for data in recordings(run))


def training_part(run: Run) -> Part:
    """The recordings that a run learns from, all of them resident."""
    env, goals = on_recordings(run)
    return Part(
        folders(run),
        "train",
        paths=env.traffic.needs_paths,
        seconds=run.episode_seconds,
        goals=goals,
        controlled=run.controlled,
    )


def worlds_of(run: Run, maps: tuple[str, ...], seed: int) -> Worlds:
    """Worlds on some maps of the run's dataset: goals, lights and beginnings are drawn by the seed."""
    return Worlds(run.data.dataset, run.asked.town, maps, seed)
