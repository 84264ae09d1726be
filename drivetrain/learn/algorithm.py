"""The one shape of every algorithm, and what is trained.

    gather    one scene under the present policy        → Segment, figures        actors run this
    prepare   a segment                                 → a batch of sequences    returns, advantages, filters
    loss      the policy on some of a batch             → a number, figures       learners run this

`fleet` runs the halves, in one program or apart; `update` takes the loss down. A new algorithm is one file here.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.env import Env
from drivetrain.learn.threshold import Sieve
from drivetrain.policy.base import Distribution, Memory, Policy, remembers
from drivetrain.rollout import Others
from drivetrain.sim.bank import Bank
from drivetrain.types import Array, InputError, Key, Observation, Segment, State, component, record, replace

Carry = Any
"""What an algorithm keeps of one scene from one window to the next: a pytree of arrays."""
Batch = Any
"""What a loss reads: a record whose leaves begin with N sequences, with a field `steps: Sequences`. Of all scenes
together its leaves are [N, scenes, …]: so a rollout stacks them, and nothing is turned round."""
Moments = Any
"""What a loss must know of a whole minibatch, of which it sees a part at a time."""
Figures = Any
"""A record of numbers: sums of what was gathered, or means of what was learnt."""
Ask = Callable[[Distribution, Any], Any]
"""What is asked of a step's distribution: `ask(distribution, action)`."""
T = TypeVar("T")
Total = Callable[[T], T]
"""The sum of a tree over all learners: the identity where there is one, a `psum` where there are several."""


@record
class Origins:
    """Of which states of a window observations are rebuilt, where they are not stored."""

    place: Int[Array, "*N L"]  # number of (step, agent, scene), the scene running fastest


@record
class Sequences:
    """What a policy is shown again: N sequences of L steps each. L is 1 for policies without a memory."""

    observation: Observation | Origins  # [N, L]; of a loss, always what is seen
    memory: Memory  # [N]: before the first step
    fresh: Bool[Array, "*N L"]  # the memory is the first memory again
    action: Any  # [N, L, …]: samples of the policy's distribution
    mask: Bool[Array, "*N L"]  # False: teaches nothing


@record
class TrainState:
    """All that a stage of a run carries from update to update. Donate it."""

    @property
    def judged(self) -> Policy:
        """What is judged, and kept where it is the best: the mean where there is one (Polyak and Juditsky 1992)."""
        return self.average if isinstance(self.average, Policy) else self.policy

    policy: Policy
    average: Policy | tuple[()]  # running mean of the policies so far; () where none is kept
    past: Policy | tuple[()]  # those of a league, leaves [size]; () where there is none
    optimiser: Any  # optax's state
    sieve: Sieve | tuple[()]  # what a threshold remembers; () where there is none
    step: Int[Array, ""]  # steps of the optimiser
    key: Key
    carry: Carry  # [scenes]
    best: Policy  # by the stage's criterion
    best_score: Float[Array, ""]  # the lowest so far; lower is better
    stale: Int[Array, ""]  # judgements since
    pending: Policy | tuple[()] = ()  # that another process is to judge; () where none does


@component
class Algorithm(ABC):
    """Rules of learning, with their hyper-parameters. All functions are of one scene; `fleet` batches them."""

    def begin(self, policy: Policy) -> Policy:
        """What is learnt, of the policy that a stage begins with: that policy itself, by default."""
        return policy

    def behind(self) -> "Algorithm":
        """The same rules for windows that may be an older policy's.

        Raises `InputError` where they hold only for the policy that learns, as by default.
        """
        raise InputError(f"fleet: {type(self).__name__} learns from its present policy alone (set fleet.synchronous)")

    @abstractmethod
    def steps(self) -> int:
        """Steps of a scene that one call of `gather` drives."""

    @abstractmethod
    def open(self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], key: Key) -> Carry:
        """What `gather` is given first; `episodes` are rows of the bank to draw from. The key is consumed."""

    @abstractmethod
    def gather(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Carry, version: Int[Array, ""]
    ) -> tuple[Carry, Segment, Figures]:
        """Drive one scene: what is carried on, what happened, and sums over it. `version` is the policy's."""

    def gather_among(
        self,
        env: Env,
        policy: Policy,
        bank: Bank,
        episodes: Int[Array, "E"],
        carry: Carry,
        version: Int[Array, ""],
        others: Others,
    ) -> tuple[Carry, Segment, Figures]:
        """`gather` where another policy drives some of the scene's agents, whose steps are masked.

        Raises `InputError` for an algorithm whose agents are all its own, as by default.
        """
        raise InputError(f"league.size: {type(self).__name__} drives every agent itself (set 0)")

    @abstractmethod
    def prepare(self, env: Env, policy: Policy, bank: Bank, segment: Segment, key: Key) -> Batch:
        """What is to be learnt of a segment. The key is consumed."""

    def priority(self, batch: Batch) -> Float[Array, "*N"]:
        """By what the share of a batch is chosen that is learnt from; masked sequences last.

        Raises `InputError` for an algorithm that learns from all it gathers, as by default.
        """
        raise InputError(f"kept: {type(self).__name__} learns from all that it gathers (leave it at 1)")

    def origins(self, policy: Policy, window: tuple[int, int]) -> Int[Array, "N L"]:
        """For a window of so many steps and agents, the number of (step, agent) that each step of its batch is of.

        Raises `InputError` for an algorithm that shows other things than what was seen at these, as by default.
        """
        raise InputError(f"rebuilt: {type(self).__name__} keeps what it shows (set False)")

    def moments(self, batch: Batch, total: Total) -> Moments:
        """What the loss must know of a whole minibatch, over all learners; nothing by default."""
        return ()

    @abstractmethod
    def loss(
        self, env: Env, policy: Policy, bank: Bank, batch: Batch, moments: Moments, key: Key
    ) -> tuple[Float[Array, ""], Figures]:
        """Mean loss over the steps of some sequences that their mask counts, and means of figures. Consumes the key."""

    def reopen(
        self, env: Env, policy: Policy, bank: Bank, episodes: Int[Array, "E"], carry: Carry, slots: Int[Array, "n"]
    ) -> Carry:
        """The carry after recordings of the bank were replaced; nothing of them is kept by default."""
        return carry

    def describe(self, gathered: Figures) -> dict[str, float]:
        """What the journal says of what was gathered."""
        return scalars(gathered)

    def describe_loss(self, learnt: Figures) -> dict[str, float]:
        """What the journal says of a loss; `loss` among it."""
        return scalars(learnt)


def cut(policy: Policy, segment: Segment, whole: bool | None = None) -> Sequences:
    """A segment as sequences: whole ones (N = C) for a policy that remembers, or where asked, else single steps
    (N = T · C).
    """
    steps, whole = segment.steps, remembers(policy) if whole is None else whole
    return Sequences(
        observation=by_sequence(steps.observation, whole),
        memory=segment.memory if whole else (),
        fresh=by_sequence(steps.fresh, whole),
        action=by_sequence(steps.action, whole),
        mask=by_sequence(steps.mask, whole),
    )


def unseen(algorithm: Algorithm, policy: Policy, batch: Batch, states: State) -> Batch:
    """A batch [N, scenes] of a window with these states [T, scenes], without its observations: nobody need hold them.

    Raises `InputError` where the algorithm does not know which they are of.
    """
    steps, scenes, agents = states.alive.shape
    place = algorithm.origins(policy, (steps, agents))[:, None] * scenes + jnp.arange(scenes)[:, None]
    return replace(batch, steps=replace(batch.steps, observation=Origins(place)))


def seen(env: Env, bank: Bank, batch: Batch, states: State | tuple[()]) -> Batch:
    """Sequences with their observations, rebuilt of the states [T, scenes] of all windows; as they are without any.

    Whatever is overlooked or misjudged is so again: it follows from the state alone (`sim/dice.py`).
    """
    if not isinstance(states, State):
        return batch
    steps, scenes, agents = states.alive.shape

    def of_step(place: Int[Array, ""]) -> Observation:
        step, agent, scene = jnp.unravel_index(place, (steps, agents, scenes))
        return env.observer(bank, jax.tree.map(lambda leaf: leaf[step, scene], states), agent)

    rebuilt = jax.vmap(jax.vmap(of_step))(batch.steps.observation.place)
    return replace(batch, steps=replace(batch.steps, observation=rebuilt))


def by_sequence(rows: T, whole: bool) -> T:
    """Leaves [T, C, …] as [C, T, …] where sequences are whole, else as [T · C, 1, …]."""
    if whole:
        return jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), rows)
    return jax.tree.map(lambda leaf: leaf if leaf.shape[1] == 1 else leaf.reshape(-1, 1, *leaf.shape[2:]), rows)


def unroll(policy: Policy, steps: Sequences, key: Key, ask: Ask) -> tuple[Any, Float[Array, "N L"]]:
    """What each step's distribution answers of its action, and values, [N, L]; memory is carried through each sequence.

    Distributions are asked where they stand: they may share what is too large to be held for each. The key is split
    once a step.
    """
    assert isinstance(steps.observation, Observation)  # rebuilt by now (`seen`)
    keys = jax.random.split(key, steps.mask.shape)

    def answer(seen: Observation, memory: Memory, action: Any, key: Key) -> tuple[Any, Array, Memory]:
        distribution, value, memory = policy(seen, memory, key)
        return ask(distribution, action), value, memory

    if not remembers(policy):
        shape = steps.mask.shape  # one `vmap` for all, within which a head may put its rows together
        flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), (steps.observation, steps.action, keys))
        found = jax.vmap(lambda seen, action, key: answer(seen, (), action, key)[:2])(*flat)
        return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), found)
    first = policy.initial_memory()

    def one(observation: Observation, memory: Memory, fresh: Array, actions: Any, keys: Key):
        def step(memory: Memory, now: tuple[Observation, Array, Any, Key]):
            seen, fresh, action, key = now
            memory = jax.tree.map(lambda new, old: jnp.where(fresh, new, old), first, memory)
            answered, value, memory = answer(seen, memory, action, key)
            return memory, (answered, value)

        return jax.lax.scan(step, memory, (observation, fresh, actions, keys))[1]

    return jax.vmap(one)(steps.observation, steps.memory, steps.fresh, steps.action, keys)


def scalars(figures: Figures) -> dict[str, float]:
    """A record's numbers by name; one with a value for each action column gives `name_0`, `name_1`, …"""
    named = {}
    for name in type(figures).__dataclass_fields__:
        leaf = getattr(figures, name)
        if dataclasses.is_dataclass(leaf):  # a record of its own, which the algorithm describes
            continue
        value = np.asarray(leaf, np.float64)
        if value.ndim == 0:
            named[name] = float(value)
        else:
            named |= {f"{name}_{column}": float(part) for column, part in enumerate(value)}
    return named
