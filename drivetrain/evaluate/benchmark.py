"""A driver on the episodes of a bank: every drive, its figures, and their summary.

- `evaluate`: bank, driver → Evaluation; every episode (of a `Portion`) driven once to its end, so many at once
- `summarise`: Evaluation → the object of `evaluation.json`
- `compare`: two Evaluations → their paired differences
"""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.banks.part import Lot
from drivetrain.ending import EVALUATION
from drivetrain.env import Env
from drivetrain.evaluate.intervals import METHOD, mean, ratio
from drivetrain.evaluate.metrics import LEAST_DISTANCE, RATES, Outcome, outcome
from drivetrain.parallel import fetched, over_learners, shares
from drivetrain.rollout import Considered, Driver, drive
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Events, InputError, Key, record, replace

MEANS = ("ade", "acceleration", "lateral", "comfort")


@record
class Drives:
    """What a replay shows of drives: moments 0 … T of C controlled agents."""

    position: Float[Array, "*E moments C 2"]
    heading: Float[Array, "*E moments C 2"]
    speed: Float[Array, "*E moments C"]
    arc_length: Float[Array, "*E moments C"]
    events: Events  # [E, T, C], of the step that led to moment t + 1
    mask: Bool[Array, "*E T C"]
    goal: Float[Array, "*E moments C 2"] | None = None  # where each one's next goal lies, m; NaN: nowhere
    considered: Considered | None = None  # [E, T, C], at moment t; None where the driver shows nothing


@record
class Evaluation:
    """One driver on E episodes, in NumPy."""

    episode: Int[Array, "E"]  # row of the bank's episodes, or of the larger set of which the bank is a lot
    source: Int[Array, "E"]  # group of recordings: the cluster of the bootstrap
    outcome: Outcome  # [E, C]
    drives: Drives | None  # [E]; None where they were not kept


@record
class Portion:
    """Which episodes of a bank are driven, how many at once, and of what larger set the bank is a lot."""

    episodes: Int[Array, "E"] | None = None  # rows of the bank; None: all
    at_once: int = 64
    first: int = 0  # episodes of the set before those of this bank
    steps: int = 0  # of the longest episode of the set; 0: of the bank


WHOLE = Portion()


def portion_of(lot: Lot, at_once: int = 64) -> Portion:
    """All of a lot, so many episodes at once."""
    return Portion(lot.rows(), at_once, lot.first, lot.steps)


def evaluate(
    env: Env,
    bank: Bank,
    driver: Driver,
    portion: Portion = WHOLE,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Drive every episode of a portion to its end; nothing ends earlier, nothing restarts.

    It drives by its own rules, and only the recording's end is an ending. `progress(done, all)` is called after each
    chunk. The key of an episode is its row in the set folded into the seed, so that figures depend neither on the
    chunks nor on the lots.
    """
    rows = np.arange(len(bank.episodes.map)) if portion.episodes is None else np.asarray(portion.episodes)
    if len(rows) == 0:
        raise InputError("evaluation: episodes: none (name at least one)")
    steps = portion.steps or int(np.max(np.asarray(bank.episodes.last) - np.asarray(bank.episodes.first)))
    each = shares(min(portion.at_once, len(bank.episodes.map)))
    env, draw = replace(env, ending=EVALUATION), (jax.random.key(seed), jnp.asarray(portion.first))
    parts = []
    for start in range(0, len(rows), each):
        part = rows[start : start + each]
        padded = jnp.asarray(np.resize(part, each), jnp.int32)
        result = fetched(_drive_chunk(env, bank, driver, padded, draw, steps))
        parts.append(_first(len(part), result))
        if progress is not None:
            progress(start + len(part), len(rows))
    outcomes, drives = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return Evaluation(portion.first + rows, np.asarray(bank.episodes.source)[rows], outcomes, drives)


def select(evaluation: Evaluation, rows: Bool[np.ndarray, "E"]) -> Evaluation:
    """Some of the episodes of an evaluation."""
    return jax.tree.map(lambda leaf: leaf[rows], evaluation)


def together(lots: Sequence[Evaluation]) -> Evaluation:
    """The outcomes of one driver on all lots of a set; their drives are not kept."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *(replace(lot, drives=None) for lot in lots))


def _first(count: int, result: tuple[Outcome, Drives]) -> tuple[Outcome, Drives]:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], result)


@eqx.filter_jit
def _drive_chunk(
    env: Env,
    bank: Bank,
    driver: Driver,
    episodes: Int[Array, "E"],
    draw: tuple[Key, Int[Array, ""]],
    steps: int,
) -> tuple[Outcome, Drives]:
    def one(bank: Bank, driver: Driver, draw: tuple[Key, Array], episode: Int[Array, ""]) -> tuple[Outcome, Drives]:
        key, first = draw
        trajectory = drive(env, bank, driver, episode, steps, jax.random.fold_in(key, first + episode))
        mine = trajectory.controlled
        drives = Drives(
            position=trajectory.agents.position[:, mine],
            heading=trajectory.agents.heading[:, mine],
            speed=trajectory.speed,
            arc_length=trajectory.arc_length,
            events=trajectory.events,
            mask=trajectory.mask,
            considered=trajectory.considered,
        )
        return outcome(bank, episode, trajectory), drives

    of_share = over_learners(jax.vmap(one, (None, None, None, 0)), (False, False, False, True), (True, True))
    return of_share(bank, driver, draw, episodes)


# ---------------------------------------------------------------------------------------------------------- summaries


def summarise(
    evaluation: Evaluation,
    policy: str,
    data: str,
    split: str,
    dt: float,
    seed: int,
    in_lanes: Bool[np.ndarray, "E"] | None = None,
) -> dict[str, object]:
    """The object of `evaluation.json`: every figure with its interval, and what it was measured on.

    Beside those of all egos, under `in_lanes`, stand those of the ones that no rule of corridors has let in, where they
    are told: older figures, from before there were corridors, compare with these.
    """
    egos, cluster = _egos(evaluation)
    moving = np.asarray(egos.log_distance) >= LEAST_DISTANCE
    figures: dict[str, object] = {f"{name}_rate": mean(egos.happened[name], cluster, seed).as_json() for name in RATES}
    distance, covered = np.asarray(egos.progress)[moving], np.asarray(egos.log_distance)[moving]
    figures["progress_ratio"] = ratio(distance, covered, cluster[moving], seed).as_json()
    figures |= {name: mean(getattr(egos, name), cluster, seed).as_json() for name in MEANS}
    about: dict[str, object] = {
        "scenarios": len(evaluation.episode),
        "groups": len(np.unique(evaluation.source)),
        "interval": METHOD,
        "policy": policy,
        "data": data,
        "split": split,
        "dt": round(float(dt), 6),
        "box_scale": 1.0,
        "seed": seed,
    }
    if in_lanes is not None and in_lanes.any():
        about["in_lanes"] = summarise(select(evaluation, in_lanes), policy, data, split, dt, seed)
    return figures | about


def compare(one: Evaluation, other: Evaluation, seed: int = 0) -> dict[str, dict[str, float | int | None]]:
    """Paired differences, `one` less `other`, on the same egos: below zero, `one` fails less.

    Raises `InputError` where the two did not drive the same episodes.
    """
    if not np.array_equal(one.episode, other.episode):
        raise InputError("comparison: episodes: the two differ (evaluate both on the same ones)")
    mine, cluster = _egos(one)
    theirs, _ = _egos(other)
    moving = np.asarray(mine.log_distance) >= LEAST_DISTANCE
    less = jax.tree.map(lambda own, other: np.asarray(own, np.float64) - np.asarray(other, np.float64), mine, theirs)
    covered = np.asarray(mine.log_distance)[moving]
    rates = {f"{name}_rate": mean(less.happened[name], cluster, seed).as_json() for name in RATES}
    return rates | {"progress_ratio": ratio(less.progress[moving], covered, cluster[moving], seed).as_json()}


def _egos(evaluation: Evaluation) -> tuple[Outcome, Int[np.ndarray, "n"]]:
    """One row for each controlled agent that exists, and its recording."""
    exists = np.asarray(evaluation.outcome.exists)
    cluster = np.broadcast_to(np.asarray(evaluation.source)[:, None], exists.shape)[exists]
    return jax.tree.map(lambda leaf: np.asarray(leaf)[exists], evaluation.outcome), cluster
