"""Gymnasium: one scene as an `Env`, many as a `VectorEnv`; each drives one agent.

    bank = Part(("build/ngsim",), "train").whole.bank
    scenes = DriveVector(bank, scenes=64)
    seen, _ = scenes.reset(seed=0)
    seen, reward, terminated, truncated, facts = scenes.step(scenes.action_space.sample())

Scenes restart by Gymnasium's mode NEXT_STEP: the step that ends an episode returns what it reached, and the next step,
whose action does nothing and whose reward is 0, what the following episode begins with.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from drivetrain.adapters.rendering import MODE, Renderer, described
from drivetrain.adapters.spaces import action_space, observation_space
from drivetrain.adapters.worlds import Outcome, Seen, World, advance, begin, rows_of
from drivetrain.env import Env
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, Events, InputError, Manner, Map, State

Rows = Sequence[int] | np.ndarray


class DriveVector(VectorEnv):
    """Scenes of a bank, stepped as one compiled program.

    `episodes` are the rows of the bank from which they draw (None: all). An action is an index a column of the
    dynamics' grid, or with `discrete=False` the action itself. An observation is a dictionary of its parts, or with
    `flat` one row of numbers; `remaining`, the last of them, is the share of an episode that is left, which the
    policies of this package are not given. All arrays are NumPy's, and the caller's own.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}

    def __init__(
        self,
        bank: Bank,
        env: Env = Env(),  # noqa: B008 - frozen
        scenes: int = 64,
        episodes: Rows | None = None,
        discrete: bool = True,
        flat: bool = False,
    ):
        _drives_one(bank)
        self.bank, self.env, self.num_envs, self.flat = bank, env, scenes, flat
        self.episodes = jnp.asarray(rows_of(bank, episodes))
        self.single_observation_space = observation_space(env, bank, flat)
        self.single_action_space = action_space(env, discrete)
        self.observation_space = batch_space(self.single_observation_space, scenes)
        self.action_space = batch_space(self.single_action_space, scenes)
        self._dtype = np.int32 if discrete else np.float32
        self._worlds: World | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        """New episodes, drawn by the seed. `options={"episode": row}` names the bank's row of all, or of each."""
        super().reset(seed=seed)
        chosen = (options or {}).get("episode")
        rows = self.np_random.choice(self.episodes, self.num_envs) if chosen is None else rows_of(self.bank, chosen)
        if len(rows) not in (1, self.num_envs):
            raise InputError(f"episode: {len(rows)} rows for {self.num_envs} scenes (name one, or one a scene)")
        rows = np.broadcast_to(rows, self.num_envs)
        keys = jax.random.split(jax.random.key(int(self.np_random.integers(2**31))), self.num_envs)
        self._worlds, seen = begin(self.env, self.flat, self.bank, jnp.asarray(rows), keys)
        return _own(seen), {"row": np.array(rows), "_row": np.ones(self.num_envs, bool)}

    def step(self, actions: Array) -> tuple[Seen, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every scene. `infos` are the facts of `drivetrain.types.Events`, and the bank's row."""
        if self._worlds is None:
            raise InputError("step: no episode is open (call reset first)")
        samples = np.asarray(actions, self._dtype)
        if samples.shape != self.action_space.shape:
            raise InputError(f"step: actions of shape {samples.shape} (give {self.action_space.shape})")
        self._worlds, seen, outcome = advance(
            self.env, self.flat, self.bank, self.episodes, self._worlds, samples[:, None]
        )
        outcome = jax.tree.map(np.array, outcome)
        facts = {name: fact[:, 0] for name, fact in facts_of(outcome).items()}
        there = {f"_{name}": outcome.acted[:, 0] for name in facts}
        rows = {"row": outcome.row, "_row": np.ones(self.num_envs, bool)}
        return (
            _own(seen),
            outcome.reward[:, 0],
            outcome.terminated[:, 0],
            outcome.truncated[:, 0],
            facts | there | rows,
        )

    def state(self, scene: int) -> State:
        """Where a scene stands."""
        if self._worlds is None:
            raise InputError("state: no episode is open (call reset first)")
        return jax.tree.map(lambda leaf: leaf[scene], self._worlds.state)


class DriveEnv(gymnasium.Env):
    """One scene of a bank; call `reset` after an episode's end. The options are those of `DriveVector`.

    With the `maps` of the bank's recordings, in their order, `render` returns a picture of the scene as it stands.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        bank: Bank,
        env: Env = Env(),  # noqa: B008 - frozen
        episodes: Rows | None = None,
        discrete: bool = True,
        flat: bool = False,
        maps: Sequence[Map] | None = None,
    ):
        self._one = DriveVector(bank, env, 1, episodes, discrete, flat)
        self._renderer = None if maps is None else Renderer(bank, maps)
        self.metadata = described(bank, maps, self.metadata)
        self.render_mode = None if maps is None else MODE
        self.observation_space = self._one.single_observation_space
        self.action_space = self._one.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        """A new episode, drawn by the seed, or the bank's row of `options={"episode": row}`."""
        super().reset(seed=seed)
        seen, facts = self._one.reset(seed=int(self.np_random.integers(2**31)), options=options)
        return _first(seen), _without_masks(facts)

    def step(self, action: Array) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """One step. `info` holds the facts of `drivetrain.types.Events`, and the bank's row."""
        seen, reward, ended, cut, facts = self._one.step(np.asarray(action)[None])
        return _first(seen), float(reward[0]), bool(ended[0]), bool(cut[0]), _without_masks(facts)

    def render(self) -> np.ndarray | None:
        """The scene as it stands, [height, width, 3]; None without maps."""
        if self._renderer is None:
            return None
        return self._renderer(self._one.state(0))


def facts_of(outcome: Outcome) -> dict[str, Array]:
    """Every fact of a step by its name in `Events`, [N, C]."""
    facts = {name: getattr(outcome.events, name) for name in Events.__dataclass_fields__ if name != "manner"}
    manner = outcome.events.manner
    return facts | ({} if manner is None else {name: getattr(manner, name) for name in Manner.__dataclass_fields__})


def _drives_one(bank: Bank) -> None:
    count = bank.episodes.track.shape[1]
    if count != 1:
        raise InputError(f"bank: {count} controlled agents a scene (make it with controlled=1, or use DriveParallel)")


def _own(seen: Seen) -> Seen:
    """The only agent's, in NumPy, as copies that may be written to."""
    return jax.tree.map(lambda part: np.array(part[:, 0]), seen)


def _first(seen: Seen) -> Seen:
    return jax.tree.map(lambda part: part[0], seen)


def _without_masks(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: fact[0].item() for name, fact in facts.items() if not name.startswith("_")}
