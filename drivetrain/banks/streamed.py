"""A bank that is fed: recordings come from the shards while training runs, for datasets larger than memory."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Int

from drivetrain.banks.feed import Feed, slots_for
from drivetrain.banks.source import Source
from drivetrain.data.store.loading import driven_capacity, entries_of
from drivetrain.data.store.mixing import Mixture
from drivetrain.data.store.shards import read_manifest
from drivetrain.data.store.streaming import State, Stream
from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, Carry, TrainState
from drivetrain.parallel import on_each
from drivetrain.policy.base import Policy
from drivetrain.sim.bank import Bank
from drivetrain.sim.refilling import refill
from drivetrain.types import Array, component, replace


@component
class Streaming:
    """How recordings come from the shards while training runs."""

    slots: int = 0  # recordings on the device at once, of the part learnt from and of those judged on; 0: all of them
    turnover: int = 8  # recordings replaced before each update
    episodes: int = 4  # of a recording at once, drawn from its egos
    threads: int = 2  # that read and prepare
    ahead: int = 16  # recordings of each dataset read ahead, in memory


class Streamed(Source):
    """The training parts of datasets as a bank of fixed slots that is refilled, the oldest first."""

    def __init__(self, feed: Feed):
        self.feed, self.bank = feed, feed.bank
        self.episodes = on_each(jnp.arange(len(self.bank.episodes.map)))

    def renew(self, env: Env, algorithm: Algorithm, train: TrainState) -> TrainState:
        """Replace recordings by the stream's next ones, and open the scenes anew that were on them.

        A scene that is cut short here is truncated, not terminated: the window before was bootstrapped from its state.
        """
        new = self.feed.refill()
        self.bank = refill(self.bank, new.fresh, new.into)
        carry = _reopened(env, algorithm, train.policy, self.bank, self.episodes, train.carry, new.into)
        return replace(train, carry=carry)

    def state(self) -> State:
        """Where the stream stands."""
        return self.feed.state()

    def close(self) -> None:
        """Stop the stream."""
        self.feed.close()


@partial(jax.jit, static_argnames=("env", "algorithm"), donate_argnames=("carry",))
def _reopened(
    env: Env,
    algorithm: Algorithm,
    policy: Policy,
    bank: Bank,
    episodes: Int[Array, "E"],
    carry: Carry,
    slots: Int[Array, "n"],
) -> Carry:
    return jax.vmap(lambda carry: algorithm.reopen(env, policy, bank, episodes, carry, slots))(carry)


def open_feed(
    folders: Sequence[str],
    streaming: Streaming,
    own_share: float,
    seconds: float,
    paths: bool,
    seed: int,
    state: State | None = None,
) -> Feed:
    """The training parts of datasets as a bank that is refilled, from where `state` was taken.

    The first dataset has `own_share` of the recordings, the others the rest by their sizes; episodes are of at most so
    many seconds, and `paths` are laid for traffic that follows them.
    """
    manifests = [read_manifest(folder) for folder in folders]
    capacity = driven_capacity(manifests)
    entries = [entries_of(folder, manifest, "train", True) for folder, manifest in zip(folders, manifests, strict=True)]
    slots = replace(
        slots_for([entry for part in entries for entry in part], streaming.slots, streaming.episodes),
        longest=max(round(seconds / manifests[0].dt), 1),
        paths=paths,
    )
    streams = tuple(
        Stream(folder, seed=seed, threads=streaming.threads, ahead=streaming.ahead, capacity=capacity)
        for folder in folders
    )
    others = [len(part) for part in entries[1:]]
    shares = (own_share, *((1.0 - own_share) * count / sum(others) for count in others)) if others else (1.0,)
    return Feed(Mixture(streams, shares), slots, streaming.turnover, state)
