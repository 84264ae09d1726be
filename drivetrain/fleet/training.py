"""A run from recordings to report, in one process:

    dataset → cloning, until the validation loss stops falling → PPO, the best kept on validation → evaluation → report

Every stage starts from the newest good checkpoint, so a run that was killed ends with the figures of one that was not.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from drivetrain.data.converting import Settings, convert
from drivetrain.data.loading import join, load
from drivetrain.data.shards import MANIFEST, read_manifest
from drivetrain.ending import EVALUATION
from drivetrain.env import Env
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.evaluate.baselines import BASELINES
from drivetrain.evaluate.benchmark import Evaluation, compare, evaluate, select, summarise
from drivetrain.evaluate.greedy import Greedy
from drivetrain.evaluate.replay import write_replay
from drivetrain.evaluate.report import describe_data, write_report
from drivetrain.fleet.checkpoints import load_checkpoint, newest_good, save_checkpoint, write_atomically
from drivetrain.fleet.journal import Journal
from drivetrain.fleet.local import (
    Learner,
    clone_epoch,
    clone_loss,
    demonstrate,
    improve,
    make_policy,
    open_scenes,
    scalars,
)
from drivetrain.fleet.run import Data, Run, open_run
from drivetrain.learn.update import TrainState, begin
from drivetrain.policy.perceiver import Perceiver, count_parameters
from drivetrain.progress import counting
from drivetrain.sim.bank import Bank, make_bank
from drivetrain.types import Array, InputError, Key, record, replace

Show = Callable[[int, str], None]
Progress = Callable[..., AbstractContextManager[Show]]
"""`progress(title, total=…, unit=…, done=…)` is a context whose value takes (done, note)."""

BC, BC_PPO = "bc", "bc_ppo"
LEAST_PROGRESS = 0.9
"""On validation: a policy with less progress is chosen only where none makes more. Standing still is safe."""


@record
class Split:
    """One split of the datasets on the device."""

    bank: Bank
    names: tuple[str, ...]  # of its recordings
    dataset: tuple[int, ...]  # of each recording: the first is the run's own, others follow

    def episode_dataset(self) -> Int[np.ndarray, "E"]:
        """The dataset of each episode."""
        return np.asarray(self.dataset)[np.asarray(self.bank.episodes.log)]

    def drawn(self, own_share: float) -> Int[Array, "n"]:
        """Rows of episodes to draw from: those of the first dataset repeated until they are about such a share."""
        own = self.episode_dataset() == 0
        times = max(round(own_share / max(1.0 - own_share, 1e-6) * np.sum(~own) / np.sum(own)), 1)
        return jnp.asarray(np.repeat(np.arange(len(own)), np.where(own, times, 1)))


@dataclass(frozen=True)
class Site:
    """Where a run happens: its folder, the digest of its dataset, and how it shows progress."""

    folder: Path
    digest: str
    progress: Progress

    def restore(self, stage: str, like: Callable[[], Any]) -> tuple[Any, dict[str, Any]] | None:
        """A stage's newest checkpoint that is whole, and its notes; one that is damaged is named and passed over."""
        for file, reason in newest_good(self.folder / "checkpoints" / stage):
            if reason:
                print(f"drivetrain: {reason}; going on from an older one", file=sys.stderr)
                continue
            state, notes = load_checkpoint(file, jax.eval_shape(like))
            if notes["dataset"] != self.digest:
                raise InputError(f"{file}: dataset: it has changed since the run began (start a new run)")
            return state, notes
        return None

    def save(self, stage: str, step: int, state: Any, lines: int) -> None:
        """Keep a stage's state after `step`, and how much of the journal it has seen."""
        notes = {"step": step, "lines": lines, "dataset": self.digest}
        save_checkpoint(self.folder / "checkpoints" / stage, step, state, notes)


@record
class Cloned:
    """Where cloning stands after an epoch."""

    train: TrainState
    best: Perceiver
    best_loss: Array
    stale: Array  # epochs since


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
    datasets = (run.data, *run.more)
    digest = "+".join(prepare_dataset(data, progress) for data in datasets)
    paths = run.env.traffic.needs_paths
    splits = {"train": load_split(datasets, "train", run.episode_seconds, paths)}
    splits |= {name: load_split(used, name, paths=paths) for name, used in (("val", (run.data,)), ("test", datasets))}
    site = Site(folder, digest, progress)
    cloned, improved = _stages(run, splits, site)
    evaluate_run(run, splits["test"], {BC: cloned, BC_PPO: improved}, site)
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


def load_split(datasets: Sequence[Data], name: str, seconds: float | None = None, paths: bool = False) -> Split:
    """The admitted egos of one split of every dataset, one controlled agent an episode, of at most so many seconds.

    `paths` are laid for traffic that needs them.
    """
    parts = [load(data.dataset, name) for data in datasets]
    loaded = join(parts)
    longest = None if seconds is None else max(round(seconds / loaded.dt), 1)
    bank = make_bank(
        loaded.scenarios, loaded.dt, admitted=loaded.admitted, groups=loaded.groups, longest=longest, paths=paths
    )
    return Split(bank, loaded.names, tuple(row for row, part in enumerate(parts) for _ in part.names))


# --------------------------------------------------------------------------------------------------------------- stages


def _stages(run: Run, splits: dict[str, Split], site: Site) -> tuple[Perceiver, Perceiver]:
    """Cloning, then improvement, each from its newest good checkpoint: the policies before and after PPO."""
    keys = jax.random.split(jax.random.key(run.seed), 4)
    policy = make_policy(run, keys[0])
    later = site.restore(BC_PPO, lambda: _first_improved(run, splits["train"], policy, keys))
    if later is None:
        cloned, lines = _clone(run, splits, policy, keys[1], site)
        later = _first_improved(run, splits["train"], cloned.best, keys), {"step": 0, "lines": lines}
    improved = _improve(run, splits, *later, site)
    return improved.cloned, improved.best


def _first_improved(run: Run, split: Split, policy: Perceiver, keys: Key) -> Improved:
    bank = split.bank

    def copy(tree: Any) -> Any:  # the learner's buffers are donated
        return jax.tree.map(jnp.copy, tree)

    carry = open_scenes(run.env, bank, run.improvement.scenes, split.drawn(run.own_share), keys[2])
    learner = Learner(begin(run.improvement.optimiser, copy(policy), keys[3]), carry)
    return Improved(learner, copy(policy), copy(policy), jnp.asarray(jnp.inf))


def _clone(run: Run, splits: dict[str, Split], policy: Perceiver, key: Key, site: Site) -> tuple[Cloned, int]:
    """Epochs of cloning until the validation loss has not fallen for `patience` of them; the journal's length then."""
    settings = run.cloning
    best = jax.tree.map(jnp.copy, policy)
    fresh = Cloned(begin(settings.optimiser, policy, key), best, jnp.asarray(jnp.inf), jnp.asarray(0))
    state, notes = site.restore(BC, lambda: fresh) or (fresh, {"step": 0, "lines": 0})
    journal, epoch = Journal(site.folder, notes["lines"]), notes["step"]
    if epoch < settings.epochs and int(state.stale) < settings.patience:
        shown, tracking = demonstrate(run.env, splits["train"].bank, settings.loss)
        held, _ = demonstrate(run.env, splits["val"].bank, settings.loss)
        if epoch == 0:
            journal.write("expert", 0, tracking)
        with site.progress("clone", total=settings.epochs, unit="epochs", done=epoch) as show:
            while epoch < settings.epochs and int(state.stale) < settings.patience:
                began = time.monotonic()
                train, figures = clone_epoch(run.env, settings, splits["train"].bank, state.train, shown)
                validation = clone_loss(run.env, settings.loss, settings.batch, splits["val"].bank, train.policy, held)
                state, epoch = _keep_lower(state, train, validation.loss), epoch + 1
                row = scalars(figures) | {f"val_{name}": value for name, value in scalars(validation).items()}
                journal.write(BC, epoch, row | {"seconds": time.monotonic() - began})
                site.save(BC, epoch, state, journal.lines)
                show(epoch, f"validation loss {float(validation.loss):.3f}, lowest {float(state.best_loss):.3f}")
    journal.close()
    return state, journal.lines


def _keep_lower(state: Cloned, train: TrainState, loss: Array) -> Cloned:
    lower = bool(loss < state.best_loss)
    return Cloned(
        train=train,
        best=jax.tree.map(jnp.copy, train.policy) if lower else state.best,
        best_loss=loss if lower else state.best_loss,
        stale=jnp.asarray(0 if lower else int(state.stale) + 1),
    )


def _improve(run: Run, splits: dict[str, Split], state: Improved, notes: dict[str, Any], site: Site) -> Improved:
    """Updates of PPO until the budget of agent-steps is spent; the best policy by its drives on validation."""
    settings, bank = run.improvement, splits["train"].bank
    episodes = splits["train"].drawn(run.own_share)
    steps = settings.scenes * settings.window
    updates = -(-settings.agent_steps // steps)
    update, journal = notes["step"], Journal(site.folder, notes["lines"])
    if update == 0:
        state = _judge(run, splits["val"].bank, state, state.cloned, journal, 0, {})
    with site.progress("improve", total=updates * steps, unit="agent-steps", done=update * steps) as show:
        while update < updates:
            began = time.monotonic()
            learner, driven, learnt = improve(run.env, settings, bank, state.learner, episodes)
            state, update = replace(state, learner=learner), update + 1
            if update % settings.evaluate_every == 0 or update == updates:
                row = _rates(scalars(driven)) | scalars(learnt) | {"seconds": time.monotonic() - began}
                state = _judge(run, splits["val"].bank, state, learner.train.policy, journal, update * steps, row)
            if update % settings.checkpoint_every == 0 or update == updates:
                site.save(BC_PPO, update, state, journal.lines)
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
    run: Run, bank: Bank, state: Improved, policy: Perceiver, journal: Journal, step: int, row: dict[str, float]
) -> Improved:
    """Drive the validation episodes greedily, write the figures, and keep the policy where it is the best so far."""
    result = drive_greedily(run.env, bank, policy)
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


def drive_greedily(env: Env, bank: Bank, policy: Perceiver, progress: Callable | None = None) -> Evaluation:
    """Every episode of a bank driven by the likeliest actions of a policy; nothing ends before the recording."""
    return evaluate(replace(env, ending=EVALUATION), bank, Greedy(policy, env.dynamics), progress=progress)


def evaluate_run(run: Run, test: Split, policies: dict[str, Perceiver], site: Site) -> dict[str, Any]:
    """The policies and the baselines on the test episodes: `evaluation.json`, `facts.json`, `replay.safetensors`.

    Figures are those of the run's own dataset; each of `more` has a file of its own, `evaluation-NAME.json`.
    """
    drivers = list(BASELINES) + list(policies)
    results: dict[str, Evaluation] = {}
    with site.progress("evaluate", total=len(drivers), unit="drivers") as show:
        for name in drivers:
            if name in BASELINES:
                baseline = BASELINES[name](run.env)
                results[name] = evaluate(baseline.env, test.bank, baseline.act)
            else:
                results[name] = drive_greedily(run.env, test.bank, policies[name])
            show(len(results), name)
    datasets = (run.data, *run.more)
    dataset = test.episode_dataset()
    figures = [
        _figures(run, data, {name: select(result, dataset == row) for name, result in results.items()})
        for row, data in enumerate(datasets)
    ]
    facts = {
        "data": describe_data(read_manifest(run.data.dataset)),
        "more": {data.name: describe_data(read_manifest(data.dataset)) for data in run.more},
        "parameters": count_parameters(policies[BC_PPO]),
    }
    write_replay(site.folder / "replay.safetensors", test.bank, results, test.names)
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
