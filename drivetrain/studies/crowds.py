"""Many agents at once: a policy that learnt to drive some of a drawn scene's cars drives more of them, and more."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.bench.synthetic import Grid, grid_scenario
from drivetrain.drivers.greedy import Greedy
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Portion, evaluate
from drivetrain.fleet.local import begin, update
from drivetrain.learn.update import Learning
from drivetrain.policy.base import Architecture
from drivetrain.sim.bank import Bank
from drivetrain.sim.building import make_bank


def crowds(
    env: Env,
    architecture: Architecture,
    learning: Learning,
    agents: Sequence[int],
    updates: int,
    show: Callable[[int, str], None],
) -> dict[str, list]:
    """By agents driven at once: distance to the log, m, of greedy drives by a policy that learnt with the first number.

    Scenes are drawn (`bench.synthetic`): cars at constant speed on a grid of roads, another seed to learn from than to
    be tested on; nobody gives way, so what is measured is how a policy bears a crowd, not what it makes of traffic.
    """
    steps = learning.algorithm.steps()
    bank = _bank(agents[0], steps, seed=1)
    policy = jax.jit(lambda key: architecture.build(env, key))(jax.random.key(0))
    train = begin(env, learning, policy, bank, jnp.arange(1), (jax.random.key(1), jax.random.key(2)))
    for done in range(updates):
        train, *_ = update(env, learning, bank, jnp.arange(1), train)
        show(done + 1, f"{agents[0]} agents at once")
    figures: dict[str, list] = {"agents": list(agents), "ade": [], "off_road": []}
    for count in agents:
        driver = Greedy(train.judged, env.dynamics)
        outcome = evaluate(env, _bank(count, steps, seed=2), driver, Portion(np.arange(1), 1)).outcome
        exists = np.asarray(outcome.exists)
        figures["ade"].append(float(np.mean(outcome.ade[exists])))
        figures["off_road"].append(float(np.mean(outcome.happened["off_road"][exists])))
    return figures


def _bank(agents: int, steps: int, seed: int) -> Bank:
    """One drawn scene in which so many are driven at once."""
    grid = Grid(agents=agents, steps=max(steps, 21) + 1, seed=seed)
    return make_bank([grid_scenario(grid)], grid.dt, controlled=agents)
