"""One trajectory by heart: how near to it each rule comes in closed loop, with all the practice it wants."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Portion, evaluate
from drivetrain.fleet.local import begin, update
from drivetrain.learn.update import Learning
from drivetrain.policy.base import Architecture
from drivetrain.sim.bank import Bank
from drivetrain.sim.reading import logged

LEAST_METRES = 20.0
"""That the trajectory covers."""


def winding_episode(bank: Bank) -> int:
    """The episode that turns most, of those that go somewhere."""
    first, last = np.asarray(bank.episodes.first), np.asarray(bank.episodes.last)

    def turn(episode: int) -> float:
        places = [logged(bank, episode, 0, time) for time in (int(first[episode]), int(last[episode]))]
        cos = float(np.dot(places[0].heading, places[1].heading))
        return float(np.arccos(np.clip(cos, -1.0, 1.0)))

    far = np.flatnonzero(np.asarray(bank.episodes.log_distance) >= LEAST_METRES)
    return int(max(far, key=lambda episode: turn(int(episode)))) if len(far) else 0


def overfit(
    env: Env,
    architectures: Mapping[str, tuple[Architecture, Learning]],
    bank: Bank,
    episode: int,
    updates: int,
    show: Callable[[int, str], None],
    every: int = 25,
) -> dict[str, dict[str, list]]:
    """By the rule's name: agent-steps, and the distance to the log, m, of a greedy drive of that episode after them."""
    rows, curves = jnp.asarray([episode]), {}
    for number, (name, (architecture, learning)) in enumerate(architectures.items()):
        policy = jax.jit(lambda key, made=architecture: made.build(env, key))(jax.random.key(0))
        train = begin(env, learning, policy, bank, rows, (jax.random.key(1), jax.random.key(2)))
        curve: dict[str, list] = {"steps": [], "ade": []}
        for done in range(updates + 1):
            if done % every == 0:
                driven = evaluate(env, bank, Greedy(train.judged, env.dynamics), Portion(np.array([episode]), 1))
                curve["steps"].append(done * learning.scenes * learning.algorithm.steps())
                curve["ade"].append(float(np.asarray(driven.outcome.ade)[0, 0]))
                show(number * updates + done, f"{name}: {curve['ade'][-1]:.2f} m")
            if done < updates:
                train, *_ = update(env, learning, bank, rows, train)
        curves[name] = curve
    return curves
