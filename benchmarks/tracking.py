"""How well the bicycle's inverse follows recorded drives: error and clipping, against inverting the record itself.

    python benchmarks/tracking.py DATASET_DIR [--limit N] [--horizon N]

Every ego of the dataset, admitted or not, is driven from its first recorded state to its last by the model alone. The
naive way inverts the *record* (its speeds and yaw rates), wherever the agent has got to.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.data.loading import load
from drivetrain.sim.bank import Bank, Indexing, bodies_of, expert, make_bank
from drivetrain.sim.dynamics.base import action_at, nearest, steering_angle, turned
from drivetrain.sim.dynamics.bicycle import Bicycle

MODEL = Bicycle()


def follow(bank: Bank, episode: jax.Array, horizon: int, quantised: bool, naive: bool):
    """Position errors [T], clipped columns [T, 2] and which steps are recorded [T] of one episode."""
    first, dt = bank.episodes.first[episode], bank.dt
    length = bodies_of(bank, episode).length[bank.episodes.track[episode, 0]]
    last = bank.episodes.last[episode]

    def recorded(time):
        now = expert(bank, episode, 0, time)
        return now, now.valid & (time <= last)

    def invert(place, face, motion, time):
        targets, valid = jax.vmap(recorded)(time + jnp.arange(1, horizon + 1))
        return MODEL.inverse(place, face, motion, length, targets.position, targets.heading, valid, dt)

    def invert_record(motion, time):
        (now, _), (after, known) = recorded(time + 1), recorded(time + 2)
        speed = jnp.sum(now.velocity * now.heading)
        steering = steering_angle(speed, turned(now.heading, after.heading) / dt, length)
        action = jnp.stack([speed - motion.speed, steering - motion.steering]) / dt
        return jnp.where(known, action, 0.0)

    def advance(carry, time):
        place, face, motion = carry
        action = invert_record(motion, time) if naive else invert(place, face, motion, time)
        clipped = jnp.abs(MODEL.limit(action) - action) > 1e-4
        if quantised:
            action = action_at(MODEL.grid(), nearest(MODEL.grid(), action))
        place, face, _, motion = MODEL.forward(place, face, motion, length, action, dt)
        target, known = recorded(time + 1)
        return (place, face, motion), (jnp.hypot(*(place - target.position)), clipped, known)

    start, later = expert(bank, episode, 0, first), expert(bank, episode, 0, first + 1)
    motion = MODEL.start(start.heading, start.velocity, later.heading, length, dt)
    times = first + jnp.arange(bank.logs.agents.valid.shape[1] - 1)
    return jax.lax.scan(advance, (start.position, start.heading, motion), times)[1]


def main() -> None:
    """Print one row a way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--limit", type=int, default=None, help="recordings")
    parser.add_argument("--horizon", type=int, default=6, help="steps of the record that the inverse sees")
    options = parser.parse_args()
    loaded = load(options.dataset, admitted_only=False, limit=options.limit)
    bank = make_bank(loaded.scenarios, loaded.dt, admitted=loaded.admitted, indexing=Indexing(width=8))
    episodes = jnp.arange(len(bank.episodes.map))
    print(f"{len(episodes)} egos, dt {loaded.dt:g} s, horizon {options.horizon}; errors in m, clipped steps in %")
    print(f"{'':22}{'p50':>7}{'p95':>7}{'p99':>7}{'max':>7}{'final p95':>11}{'acceleration':>14}{'rate':>7}")
    for naive in (True, False):
        for quantised in (False, True):
            run = jax.jit(jax.vmap(lambda e, n=naive, q=quantised: follow(bank, e, options.horizon, q, n)))
            error, clipped, known = (np.asarray(each) for each in run(episodes))
            steps = error[known]
            end = error[np.arange(len(known)), known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)]
            share = 100.0 * clipped[known].mean(axis=0)
            name = f"{'step by step' if naive else 'inverse'}, {'grid' if quantised else 'continuous'}"
            figures = [*np.percentile(steps, [50, 95, 99]), steps.max()]
            print(
                f"{name:<22}"
                + "".join(f"{figure:7.3f}" for figure in figures)
                + f"{np.percentile(end, 95):11.3f}{share[0]:14.2f}{share[1]:7.2f}"
            )


if __name__ == "__main__":
    main()
