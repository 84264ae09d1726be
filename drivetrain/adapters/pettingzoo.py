"""PettingZoo: one scene of several controlled agents as a `ParallelEnv`.

    bank = make_bank(data.scenarios, data.dt, controlled=8)
    scene = DriveParallel(bank)
    seen, _ = scene.reset(seed=0)
    while scene.agents:
        actions = {agent: scene.action_space(agent).sample() for agent in scene.agents}
        seen, reward, terminated, truncated, facts = scene.step(actions)

An agent that has ended leaves the scene, and `agents`; once all have, `reset` opens the next.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Space
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from drivetrain.adapters.gymnasium import facts_of
from drivetrain.adapters.rendering import MODE, Renderer, described
from drivetrain.adapters.spaces import action_space, observation_space
from drivetrain.adapters.worlds import World, advance, begin, rows_of
from drivetrain.env import Env
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Map

Each = dict[str, Any]
"""Something of each agent, by its name."""


class DriveParallel(ParallelEnv):
    """One scene of a bank; agent `agent_2` is the third controlled one. Options are those of `DriveEnv`."""

    metadata: dict[str, Any] = {"name": "drivetrain", "render_modes": []}

    def __init__(
        self,
        bank: Bank,
        env: Env = Env(),  # noqa: B008 - frozen
        episodes: Sequence[int] | np.ndarray | None = None,
        discrete: bool = True,
        flat: bool = False,
        maps: Sequence[Map] | None = None,
    ):
        self.bank, self.env, self.flat = bank, env, flat
        self.episodes = jnp.asarray(rows_of(bank, episodes))
        self.possible_agents = [f"agent_{c}" for c in range(bank.episodes.track.shape[1])]
        self.agents: list[str] = []
        seen = {agent: observation_space(env, bank, flat) for agent in self.possible_agents}
        self.observation_spaces, self.action_spaces = seen, {a: action_space(env, discrete) for a in seen}
        self._still = np.zeros((1, len(seen), env.dynamics.width), np.int32 if discrete else np.float32)
        self._renderer = None if maps is None else Renderer(bank, maps)
        self.metadata = described(bank, maps, self.metadata)
        self.render_mode = None if maps is None else MODE
        self._random, _ = seeding.np_random(None)
        self._world: World | None = None

    def observation_space(self, agent: str) -> Space:
        """What an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        """What an agent does."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Each, Each]:
        """A new episode, drawn by the seed, or the bank's row of `options={"episode": row}`."""
        if seed is not None:
            self._random, _ = seeding.np_random(seed)
        chosen = (options or {}).get("episode")
        row = self._random.choice(self.episodes, 1) if chosen is None else rows_of(self.bank, chosen)[:1]
        keys = jax.random.split(jax.random.key(int(self._random.integers(2**31))), 1)
        world, seen = begin(self.env, self.flat, self.bank, jnp.asarray(row), keys)
        self._world, alive = world, np.array(world.state.alive[0])
        self.agents = [agent for agent, lives in zip(self.possible_agents, alive, strict=True) if lives]
        return self._each(seen), {agent: {"row": int(row[0])} for agent in self.agents}

    def step(self, actions: dict[str, Array]) -> tuple[Each, Each, Each, Each, Each]:
        """One step of everyone; every agent that is in the scene acts. `infos` are the facts of `types.Events`."""
        if self._world is None:
            raise InputError("step: no episode is open (call reset first)")
        if not self.agents:
            return {}, {}, {}, {}, {}
        samples = self._still.copy()
        for agent in self.agents:
            if agent not in actions:
                raise InputError(f"step: {agent}: no action (give one of each of `agents`)")
            samples[0, self.possible_agents.index(agent)] = actions[agent]
        self._world, seen, outcome = advance(self.env, self.flat, self.bank, self.episodes, self._world, samples)
        numbers = (outcome.reward, outcome.terminated, outcome.truncated, facts_of(outcome))
        reward, ended, cut, facts = (self._each(parts) for parts in numbers)
        seen = self._each(seen)
        self.agents = [agent for agent in self.agents if not (ended[agent] or cut[agent])]
        return seen, reward, ended, cut, facts

    def render(self) -> np.ndarray | None:
        """The scene as it stands, around the first agent, [height, width, 3]; None without maps."""
        if self._renderer is None or self._world is None:
            return None
        return self._renderer(jax.tree.map(lambda leaf: leaf[0], self._world.state))

    def _each(self, parts: Any) -> Each:
        """What is [1, C] by the agents of the scene: copies, and plain numbers where there is one an agent."""
        parts = jax.tree.map(np.asarray, parts)

        def of(agent: str) -> Any:
            row = self.possible_agents.index(agent)
            return jax.tree.map(lambda part: part[0, row].copy() if part.ndim > 2 else part[0, row].item(), parts)

        return {agent: of(agent) for agent in self.agents}
