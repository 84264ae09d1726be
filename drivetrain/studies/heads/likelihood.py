"""How likely recorded driving is under a policy, nats per second of it: by its own choices, and by where they lead.

choices   −Σ log π(choice that is nearest to the log) / seconds driven, on the log. A probability of the head's own
          cells: heads over one grid may be compared with each other, and with no head over other cells.
places    −log density of where the log is one second on. The density is that of drives of one second by the policy's
          samples, all from the same recorded moment (a kernel each). It asks nothing of a head but to drive, so
          that all may be compared, whatever their cells, their durations, or how often they choose.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from drivetrain.banks.part import Lot
from drivetrain.drivers.log import LogDriver
from drivetrain.drivers.sampled import Sampled
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Portion, evaluate
from drivetrain.fleet.local import losses_of_episode
from drivetrain.learn.bc import Bc
from drivetrain.policy.base import Policy
from drivetrain.rollout import Driver
from drivetrain.sim.bank import Bank
from drivetrain.types import Array

AT_ONCE = 64
BROAD, SHARE = 5.0, 0.01
"""Standard deviation, m, about the mean of all samples, and share of the density that no sample leads to."""


def choices(
    env: Env, algorithm: Bc, policy: Policy, lot: Lot
) -> tuple[Float[np.ndarray, "E"], Float[np.ndarray, "E"], Int[np.ndarray, "E"]]:
    """Of each episode −Σ log π of the log's choices, nats; the steps that were driven; the cluster."""
    rows, bank, parts = lot.rows(), lot.bank, []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        nats, steps = _choices(env, algorithm, bank, policy, jnp.asarray(np.resize(some, AT_ONCE), jnp.int32))
        parts.append((np.asarray(nats)[: len(some)], np.asarray(steps)[: len(some)]))
    nats, steps = (np.concatenate(each).astype(np.float64) for each in zip(*parts, strict=True))
    return nats, steps, np.asarray(bank.episodes.source)[rows]


@eqx.filter_jit
def _choices(env: Env, algorithm: Bc, bank: Bank, policy: Policy, rows: Int[Array, "E"]) -> tuple[Array, Array]:
    def one(row: Array) -> tuple[Array, Array]:
        steps, figures = losses_of_episode(env, algorithm, bank, policy, row)
        return steps * jnp.sum(figures.nll), steps

    return jax.vmap(one)(rows)


def places(
    env: Env, policy: Policy, lot: Lot, samples: int
) -> tuple[Float[np.ndarray, "n samples 2"], Float[np.ndarray, "n 2"], Int[np.ndarray, "n"]]:
    """Where sampled drives and the log are at the end of every episode of a lot that lasts as long as the longest, m;
    and the cluster. The lot is to be cut to one second.
    """
    whole = np.asarray(lot.bank.episodes.last - lot.bank.episodes.first)[lot.rows()] == lot.steps
    portion = Portion(lot.rows()[whole], at_once=4 * AT_ONCE, steps=lot.steps)

    def ends(driver: Driver, seed: int) -> Float[np.ndarray, "n 2"]:
        drives = evaluate(env, lot.bank, driver, portion, seed).drives
        assert drives is not None
        return np.asarray(drives.position, np.float64)[:, -1, 0]

    sampled = Sampled(policy, env.dynamics)
    reached = np.stack([ends(sampled, seed) for seed in range(samples)], axis=1)
    return reached, ends(LogDriver(), 0), np.asarray(lot.bank.episodes.source)[lot.rows()][whole]


def surprise(
    reached: Float[np.ndarray, "n samples 2"], recorded: Float[np.ndarray, "n 2"], kernel: float
) -> Float[np.ndarray, "n"]:
    """−log of a density about what was reached, m⁻²: a normal kernel (its deviation, m) about each, and `SHARE` of a
    broad one about their mean.
    """
    away = np.sum((reached - recorded[:, None]) ** 2, axis=-1)
    near = np.mean(np.exp(-0.5 * away / kernel**2), axis=1) / (2.0 * np.pi * kernel**2)
    off = np.sum((np.mean(reached, axis=1) - recorded) ** 2, axis=-1)
    broad = np.exp(-0.5 * off / BROAD**2) / (2.0 * np.pi * BROAD**2)
    return -np.log((1.0 - SHARE) * near + SHARE * broad)
