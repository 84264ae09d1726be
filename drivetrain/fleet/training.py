"""A run from recordings to report, in one process:

    dataset → cloning, until the validation loss stops falling → PPO, the best kept on validation → evaluation → report

Every stage starts from the newest good checkpoint, so a run that was killed ends with the figures of one that was not.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.data.converting import Settings, convert
from drivetrain.data.shards import MANIFEST, read_manifest
from drivetrain.ending import EVALUATION
from drivetrain.env import Env
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.evaluate.baselines import BASELINES
from drivetrain.evaluate.benchmark import Evaluation, compare, evaluate, select, summarise, together
from drivetrain.evaluate.greedy import Greedy
from drivetrain.evaluate.pieces import Chunks, Split
from drivetrain.evaluate.replay import write_replay
from drivetrain.evaluate.report import describe_data, write_report
from drivetrain.fleet.checkpoints import write_atomically
from drivetrain.fleet.cloning import STAGE as BC
from drivetrain.fleet.cloning import clone
from drivetrain.fleet.feeding import Feed, feed
from drivetrain.fleet.journal import Journal
from drivetrain.fleet.local import Learner, improve, make_policy, open_scenes, scalars
from drivetrain.fleet.run import Data, Run, open_run
from drivetrain.fleet.site import NOTHING, Progress, Site
from drivetrain.fleet.splits import load_split, open_feed
from drivetrain.learn.update import begin
from drivetrain.policy.perceiver import Perceiver, count_parameters
from drivetrain.progress import counting
from drivetrain.rollout import Driver
from drivetrain.types import Array, InputError, Key, record, replace

BC_PPO = "bc_ppo"
LEAST_PROGRESS = 0.9
"""On validation: a policy with less progress is chosen only where none makes more. Standing still is safe."""


@record
class Improved:
    """Where reinforcement learning stands after an update."""

    learner: Learner
    cloned: Perceiver  # where it began
    best: Perceiver
    best_score: Array


def train(run: Run, folder: Path, resume: bool, progress: Progress) -> None:
    """Train, evaluate and report; with `resume`, continue the run in `folder` by its own configuration.

    Raises:
        InputError: the folder is in the way, or no run's; the recordings or the dataset cannot be used.
    """
    run = open_run(run, folder, resume)
    digest = "+".join(prepare_dataset(data, progress) for data in (run.data, *run.more))
    parts, site = _parts(run), Site(folder, digest, progress)
    cloned, improved = _stages(run, parts, site)
    evaluate_run(run, parts.test, {BC: cloned, BC_PPO: improved}, site)
    print(f"report: {write_report(folder)}")


def prepare_dataset(data: Data, progress: Progress) -> str:
    """Convert the recordings where the dataset does not stand yet, and check which egos may be driven; its digest."""
    file = Path(data.dataset) / MANIFEST
    if not file.exists():
        with counting("convert", "files") as show:
            summary = convert(data.format, data.source, data.dataset, Settings(data.dt, data.workers), show)
        for skipped in summary.skipped:
            print(f"skipped {skipped.reason}", file=sys.stderr)
    manifest = read_manifest(data.dataset)
    if abs(manifest.dt - data.dt) > 1e-6:
        raise InputError(
            f"{file}: dt: {manifest.dt} s where the run has {data.dt} s (convert to another --data.dataset)"
        )
    if any(ego.cause == "" for entry in manifest.recordings for ego in entry.egos):
        admit_dataset(data.dataset, progress)
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --------------------------------------------------------------------------------------------------------------- stages


@record
class Parts:
    """The parts of the datasets: resident, or in pieces that come from the shards."""

    train: Split | None  # None: streamed
    val: tuple[Split, ...] | Chunks
    test: tuple[Split, ...] | Chunks


def _parts(run: Run) -> Parts:
    """Open what a run learns from and is judged on."""
    datasets: tuple[Data, ...] = (run.data, *run.more)
    paths = run.env.traffic.needs_paths
    if run.stream.slots:
        folders = tuple(data.dataset for data in datasets)
        val = Chunks(folders[:1], "val", run.stream.slots, paths)
        return Parts(None, val, Chunks(folders, "test", run.stream.slots, paths))
    train = load_split(datasets, "train", run.episode_seconds, paths)
    return Parts(train, (load_split((run.data,), "val", paths=paths),), (load_split(datasets, "test", paths=paths),))


def _stages(run: Run, parts: Parts, site: Site) -> tuple[Perceiver, Perceiver]:
    """Cloning, then improvement, each from its newest good checkpoint: the policies before and after PPO."""
    keys = jax.random.split(jax.random.key(run.seed), 4)
    policy = make_policy(run, keys[0])
    begun = site.notes(BC_PPO)
    cloned, lines = policy, 0
    if begun is NOTHING:
        done, lines = clone(run, parts.train, parts.val, (policy, keys[1]), site)
        cloned = done.best
    source = Source(run, parts.train, begun["stream"])

    def first() -> Improved:
        return _first_improved(run, source, cloned, keys)

    later = site.restore(BC_PPO, first) or (first(), NOTHING | {"lines": lines})
    improved = _improve(run, parts.val, source, *later, site)
    source.close()
    return improved.cloned, improved.best


class Source:
    """The bank that PPO drives on, and the rows of its episodes to draw from."""

    def __init__(self, run: Run, split: Split | None, state: dict[str, int] | None):
        """The resident part of the datasets, or without one the stream from where `state` was taken."""
        self.feed: Feed | None = None
        if split is None:
            self.feed = open_feed(run, run.stream.turnover, state)
            self.bank = self.feed.bank
            self.episodes: Array = jnp.arange(len(self.bank.episodes.map))
        else:
            self.bank, self.episodes = split.bank, split.drawn(run.own_share)

    def renew(self, env: Env, learner: Learner) -> Learner:
        """Replace recordings by the stream's next ones, and open the scenes anew that were on them."""
        if self.feed is None:
            return learner
        self.bank, carry = feed(env, self.bank, learner.carry, self.feed.lot())
        return replace(learner, carry=carry)

    def state(self) -> dict[str, int] | None:
        """Where the stream stands."""
        return None if self.feed is None else self.feed.state()

    def close(self) -> None:
        """Stop the stream."""
        if self.feed is not None:
            self.feed.close()


def _first_improved(run: Run, source: Source, policy: Perceiver, keys: Key) -> Improved:
    def copy(tree: Any) -> Any:  # the learner's buffers are donated
        return jax.tree.map(jnp.copy, tree)

    carry = open_scenes(run.env, source.bank, run.improvement.scenes, source.episodes, keys[2])
    learner = Learner(begin(run.improvement.optimiser, copy(policy), keys[3]), carry)
    return Improved(learner, copy(policy), copy(policy), jnp.asarray(jnp.inf))


def _improve(
    run: Run, val: Iterable[Split], source: Source, state: Improved, notes: dict[str, Any], site: Site
) -> Improved:
    """Updates of PPO until the budget of agent-steps is spent; the best policy by its drives on validation."""
    settings = run.improvement
    steps = settings.scenes * settings.window
    updates = -(-settings.agent_steps // steps)
    update, journal = notes["step"], Journal(site.folder, notes["lines"])
    if update == 0:
        state = _judge(run, val, state, state.cloned, journal, 0, {})
    with site.progress("improve", total=updates * steps, unit="agent-steps", done=update * steps) as show:
        while update < updates:
            began = time.monotonic()
            learner = source.renew(run.env, state.learner)
            learner, driven, learnt = improve(run.env, settings, source.bank, learner, source.episodes)
            state, update = replace(state, learner=learner), update + 1
            if update % settings.evaluate_every == 0 or update == updates:
                row = _rates(scalars(driven)) | scalars(learnt) | {"seconds": time.monotonic() - began}
                state = _judge(run, val, state, learner.train.policy, journal, update * steps, row)
            if update % settings.checkpoint_every == 0 or update == updates:
                site.save(BC_PPO, update, state, journal.lines, source.state())
            show(update * steps, f"lowest failure on validation {float(state.best_score):.1%}")
    journal.close()
    return state


def _rates(sums: dict[str, float]) -> dict[str, float]:
    """Sums of a rollout as means: over the episodes that ended, and over steps."""
    ended, steps = max(sums["episodes"], 1.0), max(sums["steps"], 1.0)
    failures = ("collision", "off_route", "red_light", "stop_line")
    return {
        "episodes": sums["episodes"],
        "returns": sums["returns"] / ended,
        "reward_per_step": sums["reward"] / steps,
        **{f"train_{name}_share": sums[name] / ended for name in failures},
    }


def _judge(
    run: Run,
    val: Iterable[Split],
    state: Improved,
    policy: Perceiver,
    journal: Journal,
    step: int,
    row: dict[str, float],
) -> Improved:
    """Drive the validation episodes greedily, write the figures, and keep the policy where it is the best so far."""
    env = replace(run.env, ending=EVALUATION)
    result = together([drive(env, split, Greedy(policy, env.dynamics)) for split in val])
    exists = np.asarray(result.outcome.exists)
    failure = float(np.mean(np.asarray(result.outcome.failure)[exists]))
    covered = float(np.sum(result.outcome.log_distance))
    ratio = float(np.sum(result.outcome.progress)) / max(covered, 1e-6)
    journal.write(BC_PPO, step, row | {"val_failure_rate": failure, "val_progress_ratio": ratio})
    score = failure + (0.0 if ratio >= LEAST_PROGRESS else 1.0)
    if score > float(state.best_score):
        return state
    return replace(state, best=jax.tree.map(jnp.copy, policy), best_score=jnp.asarray(score))


# ----------------------------------------------------------------------------------------------------------- evaluation


def drive(env: Env, split: Split, act: Driver) -> Evaluation:
    """Every episode of a split, or of a piece of one, driven to its end."""
    return evaluate(env, split.bank, act, portion=split.portion())


def evaluate_run(
    run: Run, test: tuple[Split, ...] | Chunks, policies: dict[str, Perceiver], site: Site
) -> dict[str, Any]:
    """The policies and the baselines on the test episodes: `evaluation.json`, `facts.json`, `replay.safetensors`.

    Figures are those of the run's own dataset; each of `more` has a file of its own, `evaluation-NAME.json`. The replay
    shows the first piece of a test part that comes in pieces.
    """
    env = replace(run.env, ending=EVALUATION)
    baselines = {name: baseline(run.env) for name, baseline in BASELINES.items()}
    drivers: dict[str, tuple[Env, Driver]] = {name: (each.env, each.act) for name, each in baselines.items()}
    drivers |= {name: (env, Greedy(policy, env.dynamics)) for name, policy in policies.items()}
    driven: dict[str, list[Evaluation]] = {name: [] for name in drivers}
    dataset = []
    with site.progress("evaluate", total=len(drivers) * len(test), unit="drivers") as show:
        for done, split in enumerate(test):
            found: dict[str, Evaluation] = {}
            for name, (own, act) in drivers.items():
                found[name] = drive(own, split, act)
                show(done * len(drivers) + len(found), name)
            if done == 0:
                write_replay(site.folder / "replay.safetensors", split.bank, split.egos, found, split.names)
            for name, piece in found.items():
                driven[name].append(replace(piece, drives=None))
            dataset.append(split.episode_dataset())
    results = {name: together(pieces) for name, pieces in driven.items()}
    where = np.concatenate(dataset)
    figures = [
        _figures(run, data, {name: select(result, where == row) for name, result in results.items()})
        for row, data in enumerate((run.data, *run.more))
    ]
    facts = {
        "data": describe_data(read_manifest(run.data.dataset)),
        "more": {data.name: describe_data(read_manifest(data.dataset)) for data in run.more},
        "parameters": count_parameters(policies[BC_PPO]),
    }
    write_atomically(site.folder / "facts.json", json.dumps(facts, indent=1).encode())
    for data, those in zip(run.more, figures[1:], strict=True):
        write_atomically(site.folder / f"evaluation-{data.name}.json", json.dumps(those, indent=1).encode())
    write_atomically(site.folder / "evaluation.json", json.dumps(figures[0], indent=1).encode())
    return figures[0]


def _figures(run: Run, data: Data, results: dict[str, Evaluation]) -> dict[str, Any]:
    """The object of one `evaluation.json`: an entry a driver, and the last one's differences from all others."""
    figures: dict[str, Any] = {
        name: summarise(result, name, data.dataset, "test", data.dt, run.seed) for name, result in results.items()
    }
    figures[BC_PPO]["against"] = {
        other: compare(results[BC_PPO], result) for other, result in results.items() if other != BC_PPO
    }
    return figures
