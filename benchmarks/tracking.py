"""How closely each model of motion follows recorded drives: forward(inverse(log)), by model, with and without limits.

    python benchmarks/tracking.py DATASET_DIR [--limit N] [--horizon N] [--json FILE]

Every ego of the dataset, admitted or not. *One step*: from every recorded state to the next, the inverse seeing that
one place. *Whole track*: from the first recorded state to the last by the model alone, the inverse seeing the next
places. *Step by step* inverts the record itself (its speeds and yaw rates), wherever the agent has got to. Without
limits, the same model may do anything but reverse; on the grid, its actions are rounded to a discrete policy's.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.data.store.loading import load
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.base import Body, Dynamics, Pose, action_at, nearest, steering_angle, turned
from drivetrain.sim.dynamics.bicycle import Bicycle
from drivetrain.sim.dynamics.curvature import Curvature
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.dynamics.playback import Playback
from drivetrain.sim.reading import Placement, bodies_of, logged
from drivetrain.sim.roads import Indexing
from drivetrain.types import Array, replace

WIDE = 1e4
MODELS: dict[str, tuple[Dynamics, Dynamics]] = {
    "bicycle": (
        Bicycle(),
        Bicycle(braking_limit=-WIDE, acceleration_limit=WIDE, rate_limit=WIDE, steering_limit=1.5),
    ),
    "curvature": (Curvature(), Curvature(braking_limit=-WIDE, acceleration_limit=WIDE, curvature_limit=WIDE)),
    "jerk": (
        Jerk(),
        replace(
            Jerk(),
            jerks=(-WIDE, WIDE),
            lateral_jerks=(-WIDE, WIDE),
            braking_limit=-WIDE,
            acceleration_limit=WIDE,
            lateral_limit=WIDE,
            top_speed=WIDE,
            rate_limit=WIDE,
            steering_limit=1.5,
        ),
    ),
    "playback": (Playback(), Playback()),
}
"""Each model with its limits, and without."""

Choose = Callable[[Pose, jax.Array], Array]
"""The action of an agent at a step of the log."""


class Drive:
    """One ego of the bank and its record."""

    def __init__(self, bank: Bank, episode: jax.Array, model: Dynamics):
        self.bank, self.episode, self.model, self.dt = bank, episode, model, bank.dt
        bodies, track = bodies_of(bank, episode), bank.episodes.track[episode, 0]
        self.body = Body(bodies.length[track], bodies.kind[track])
        self.first, self.last = bank.episodes.first[episode], bank.episodes.last[episode]
        self.times = self.first + jnp.arange(bank.logs.agents.valid.shape[1] - 1)

    def recorded(self, time: jax.Array) -> Placement:
        """Where the record has the ego; not valid after the episode's last step."""
        now = logged(self.bank, self.episode, 0, time)
        return replace(now, valid=now.valid & (time <= self.last))

    def start(self, time: jax.Array) -> Pose:
        """The recorded state of one step."""
        now = self.recorded(time)
        return Pose(now.position, now.heading, self.model.start(now, self.recorded(time + 1), self.body, self.dt))

    def inverse(self, pose: Pose, time: jax.Array, horizon: int) -> Array:
        """The model's own inverse."""
        targets = jax.vmap(self.recorded)(time + jnp.arange(1, horizon + 1))
        return self.model.inverse(pose, self.body, targets, self.dt)

    def record_inverted(self, pose: Pose, time: jax.Array) -> Array:
        """The bicycle's action between two recorded speeds and yaw rates."""
        now, after = self.recorded(time + 1), self.recorded(time + 2)
        speed = jnp.sum(now.velocity * now.heading)
        steering = steering_angle(speed, turned(now.heading, after.heading) / self.dt, self.body.length)
        action = jnp.stack([speed - pose.motion.speed, steering - pose.motion.steering]) / self.dt
        return jnp.where(after.valid, action, 0.0)

    def advance(self, pose: Pose, time: jax.Array, choose: Choose, on_grid: bool):
        """The pose after a step, its errors (m, rad), whether the action was clipped, and whether it is recorded."""
        action = choose(pose, time)
        clipped = jnp.any(jnp.abs(self.model.limit(action) - action) > 1e-4)
        if on_grid:
            action = action_at(self.model.grid(), nearest(self.model.grid(), action))
        pose, _ = self.model.forward(pose, self.body, action, self.dt)
        target = self.recorded(time + 1)
        error = jnp.hypot(*(pose.position - target.position))
        return pose, (error, jnp.abs(turned(target.heading, pose.heading)), clipped, target.valid)

    def one_step(self, choose: Choose, on_grid: bool):
        """Rows of `advance` from every recorded state."""
        return jax.vmap(lambda time: self.advance(self.start(time), time, choose, on_grid)[1])(self.times)

    def whole(self, choose: Choose, on_grid: bool):
        """Rows of `advance` along the track."""
        return jax.lax.scan(
            lambda pose, time: self.advance(pose, time, choose, on_grid), self.start(self.first), self.times
        )[1]


def measure(run: Callable, episodes: jax.Array) -> dict[str, float]:
    """Figures of one way, over all recorded steps of all episodes."""
    error, turn, clipped, known = (np.asarray(each) for each in jax.jit(jax.vmap(run))(episodes))
    end = error[np.arange(len(known)), known.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)]
    p50, p95, p99 = np.percentile(error[known], [50, 95, 99])
    figures = {"p50": p50, "p95": p95, "p99": p99, "max": error[known].max(), "end_p95": np.percentile(end, 95)}
    figures["heading_p95_deg"] = np.degrees(np.percentile(turn[known], 95))
    figures["clipped"] = 100.0 * clipped[known].mean()
    return {name: float(value) for name, value in figures.items()}


def ways(bank: Bank, horizon: int):
    """(span, model, limits, function of an episode) of every row."""
    for name, (limited, free) in MODELS.items():
        variants = [("limits", limited, False), ("none", free, False), ("grid", limited, True)]
        for limits, model, on_grid in variants[: 1 if name == "playback" else 3]:

            def step(episode, model=model, on_grid=on_grid):
                drive = Drive(bank, episode, model)
                return drive.one_step(lambda pose, time: drive.inverse(pose, time, 1), on_grid)

            def track(episode, model=model, on_grid=on_grid):
                drive = Drive(bank, episode, model)
                return drive.whole(lambda pose, time: drive.inverse(pose, time, horizon), on_grid)

            yield "one step", name, limits, step
            yield "whole track", name, limits, track

    def naive(episode):
        drive = Drive(bank, episode, Bicycle())
        return drive.whole(drive.record_inverted, False)

    yield "whole track", "bicycle, step by step", "limits", naive


def main() -> None:
    """Print one row a way, one-step figures first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--limit", type=int, default=None, help="recordings")
    parser.add_argument("--horizon", type=int, default=6, help="steps of the record that the inverse sees")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    options = parser.parse_args()
    loaded = load(options.dataset, admitted_only=False, limit=options.limit)
    bank = make_bank(loaded.scenarios, loaded.dt, admitted=loaded.admitted, indexing=Indexing(width=8))
    episodes = jnp.arange(len(bank.episodes.map))
    rows = [
        {"span": span, "model": model, "limits": limits, **measure(run, episodes)}
        for span, model, limits, run in sorted(ways(bank, options.horizon), key=lambda way: way[0])
    ]
    print(f"{len(episodes)} egos, dt {loaded.dt:g} s, horizon {options.horizon}; errors in m, clipped steps in %\n")
    print("| | model | limits | p50 | p95 | p99 | max | p95 at the end | heading p95, ° | clipped |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        figures = " | ".join(f"{value:.3f}" for value in list(row.values())[3:9])
        print(f"| {row['span']} | {row['model']} | {row['limits']} | {figures} | {row['clipped']:.2f} |")
    if options.json:
        about = {"egos": len(episodes), "dt": float(loaded.dt), "horizon": options.horizon, "rows": rows}
        options.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
