"""Measurements of gradients and of memory: how APG's grow with the steps they go back, and what each rule must hold."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import optax

from drivetrain.bench.gradients import slope_of_drives
from drivetrain.env import Env
from drivetrain.fleet.local import begin, update
from drivetrain.learn.apg import Apg
from drivetrain.learn.update import Learning
from drivetrain.policy.base import Architecture, Policy, count_parameters
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, replace

SCENES = 32


def gradient_norms(env: Env, policy: Policy, bank: Bank, episodes: Array, lengths: Sequence[int]) -> dict[str, list]:
    """The norm of APG's gradient over the policy's parameters, by the steps that it goes back.

    "detached": what is seen is data. "sighted": nothing is. On drives of `SCENES` episodes, never put back on the log,
    of as many steps as the longest; sighted ones are as long as they go back.
    """
    longest = max(lengths)
    norms: dict[str, list] = {"steps": list(lengths), "detached": [], "sighted": []}
    for back in lengths:
        plain = Apg(longest=longest, horizon=back, reset_every=0)
        norms["detached"].append(float(_norm(env, plain, policy, bank, episodes)))
        sighted = Apg(longest=back, sighted=True, reset_every=0)
        norms["sighted"].append(float(_norm(env, sighted, policy, bank, episodes)))
    return norms


@partial(jax.jit, static_argnames=("env", "algorithm"))
def _norm(env: Env, algorithm: Apg, policy: Policy, bank: Bank, episodes: Array) -> Array:
    keys = jax.random.split(jax.random.key(0), SCENES)
    return optax.tree.norm(slope_of_drives(env, algorithm, policy, bank, episodes, keys))


def memory(env: Env, architecture: Architecture, learning: Learning, bank: Bank, episodes: Array) -> dict[str, int]:
    """Numbers and bytes that training a policy by a rule takes, in shapes and by the compiled program's own account.

    `held` is the policy, its gradient and the optimiser's state: what there is however short the rollouts are.
    `activations` are the program's temporaries.
    """
    policy = jax.eval_shape(lambda: architecture.build(env, jax.random.key(0)))
    keys = (jax.random.key(1), jax.random.key(2))
    bare = replace(learning, averaging=0.0)
    train = jax.eval_shape(lambda bank, policy: begin(env, bare, policy, bank, episodes, keys), bank, policy)
    program = update.lower(env, bare, bank, episodes, train).compile()
    analysis = program.memory_analysis()
    held = _bytes(train.policy) * 2 + _bytes(train.optimiser)
    temporary = int(analysis.temp_size_in_bytes) if analysis is not None else 0
    return {"parameters": count_parameters(policy), "held": held, "activations": temporary}


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
