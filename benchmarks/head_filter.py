"""What a gradient filter leaves out of vocabularies of several sizes as their heads learn, on features that stay.

    python benchmarks/head_filter.py RUN POLICY.safetensors VOCABULARY.safetensors…

RUN is one with a vocabulary's head (a cell of `drivetrain study heads`), POLICY one of its kept ones: its encoder sees
the training part, and of each vocabulary a head is fitted to the log's choices (Adam, minibatches of 512 steps).
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from drivetrain.banks.part import Part
from drivetrain.cut_cross_entropy.loss import linear_cross_entropy
from drivetrain.runs.checkpoints import load_checkpoint
from drivetrain.runs.run import load_run
from drivetrain.runs.stage import Best
from drivetrain.sim.dynamics.motions import Motions
from drivetrain.studies.heads.leaving_out import filtered, shown
from drivetrain.types import replace

EPISODES, STEPS, BATCH, RATE = 160, 4096, 512, 2e-4
MOMENTS = (0, 50, 200, 400)


@jax.jit
def step(head, state, features, targets, key):
    """One step of Adam on a minibatch that is drawn."""
    rows = jax.random.choice(key, len(features), (BATCH,))
    loss = lambda head: jnp.mean(linear_cross_entropy(features[rows], head[0], targets[rows], head[1]).loss)  # noqa: E731
    slope, adam = jax.grad(loss)(head), optax.adam(RATE)
    change, state = adam.update(slope, state)
    return optax.apply_updates(head, change), state


def main(folder: str, policy_file: str, *vocabularies: str) -> None:
    """Print a table."""
    run = load_run(Path(folder))
    like = jax.eval_shape(lambda: Best(run.policy.build(run.env, jax.random.key(0))))
    policy = load_checkpoint(Path(policy_file), like)[0].best
    parts = [Part((run.data.dataset,), name, seconds=run.episode_seconds).whole for name in ("train", "val")]
    algorithm = run.stages[0].algorithm
    for file in vocabularies:
        env = replace(run.env, dynamics=Motions(file, "", run.env.dynamics.model))
        features, targets = shown(env, algorithm, policy, parts[0], EPISODES, STEPS)
        held_out = shown(env, algorithm, policy, parts[1], 32, BATCH)
        entries = len(env.dynamics.grid()[0])
        head = 0.01 * jax.random.normal(jax.random.key(0), (entries, features.shape[1])), jnp.zeros(entries)
        state = optax.adam(RATE).init(head)
        for moment in range(MOMENTS[-1] + 1):
            if moment in MOMENTS:
                for row in filtered(*held_out, *head):
                    print(entries, moment, *(f"{value:.4g}" for value in row.values()), flush=True)
            head, state = step(head, state, features, targets, jax.random.key(moment))


if __name__ == "__main__":
    main(*sys.argv[1:])
