"""An actor that is a process of its own: it gathers for a learner that it reaches through a `Door` alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Int

from drivetrain.env import Env
from drivetrain.fleet.desk import Door, packed, unpacked
from drivetrain.fleet.local import gather_window
from drivetrain.learn.algorithm import Algorithm
from drivetrain.policy.base import Policy
from drivetrain.sim.bank import Bank
from drivetrain.types import Array


@dataclass(frozen=True)
class Ground:
    """What an actor drives on in a stage: everything but the policy and where the scenes stand."""

    env: Env
    algorithm: Algorithm
    bank: Bank
    episodes: Int[Array, "E"]
    like: Policy  # its shapes


def gather_away(door: Door, actor: int, ground: Callable[[str], Ground]) -> None:
    """Gather window after window, stage after stage, until the run is over. `ground` opens a stage by its name."""
    while (job := door.hire(actor)) is not None:
        on = ground(job.stage)
        open_one = partial(on.algorithm.open, on.env, on.like, on.bank, on.episodes)
        keys = jax.ShapeDtypeStruct((len(job.carry[0]),), jax.random.key(0).dtype)
        carry = unpacked(jax.eval_shape(jax.vmap(open_one), keys), job.carry)
        while (order := door.order(actor, job.stage)) is not None:
            policy, version = unpacked(on.like, order.policy), np.int32(order.version)
            carry, *driven = gather_window(on.env, on.algorithm, on.bank, on.episodes, policy, version, carry)
            ids = np.asarray(driven[0].id)
            if not door.add(actor, job.stage, order.version, ids, packed((carry, *driven))):
                break
