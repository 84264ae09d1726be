"""What a stage of training drives on: a bank, which of its episodes to draw, and how it is renewed."""

from abc import ABC, abstractmethod

from jaxtyping import Int

from drivetrain.data.store.streaming import State
from drivetrain.env import Env
from drivetrain.learn.algorithm import Algorithm, TrainState
from drivetrain.sim.bank import Bank
from drivetrain.types import Array


class Source(ABC):
    """A bank and where it comes from. One that stays is a stream of one lot that is never renewed."""

    bank: Bank
    episodes: Int[Array, "E"]  # rows of the bank's episodes to draw from

    @abstractmethod
    def renew(self, env: Env, algorithm: Algorithm, train: TrainState) -> TrainState:
        """To be called before an update: bring in what is due, and begin anew what stood on what it replaced."""

    @abstractmethod
    def state(self) -> State | None:
        """Where the source stands: all that a checkpoint needs of it."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held open."""


class Staying(Source):
    """A bank that is there from the first, and stays as it is."""

    def renew(self, env: Env, algorithm: Algorithm, train: TrainState) -> TrainState:
        """Nothing is ever due."""
        return train

    def state(self) -> None:
        """Nothing that a checkpoint needs."""

    def close(self) -> None:
        """Nothing is open."""
