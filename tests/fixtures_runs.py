"""A dataset of hand-drawn roads and a run small enough to be trained in a test."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import write_dataset
from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.observe.sight import Sight
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.runs.criteria import FewestFailures, LowestLoss, MostGoals
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.run import Asked, Data, Run, Stage
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.towns import Town
from drivetrain.sim.traffic.nobody import Nobody

EPISODES = jnp.arange(4)
"""Rows of the training part."""


def assert_same(one, other):
    """To a float's tolerance, keys and all."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def figures(folder):
    """What the journal says, but for times."""
    return [{n: v for n, v in row.items() if not n.endswith("seconds")} for row in read_metrics(folder)]


def recorded(name: str, split: str, seed: int):
    """Two cars on a straight road, and its entry in a manifest: every ego admitted."""
    cars = (scenes.along_x(1.75, 20.0 + seed, 9.0 + seed), scenes.along_x(5.25, 40.0, 10.0 + 0.5 * seed))
    drawn = scenes.straight_road(lanes=2, length=400.0, agents=cars, steps=25)
    scenario, _ = compile_recording(dataclasses.replace(drawn, name=name))
    egos = tuple(EgoEntry(100 + row, 1, 0, 24, None) for row in range(2))
    return Entry(name, f"{name}.py", f"group-{name}", split, "drawn", "CC0", 25, {"car": 2}, {}, {}, egos), scenario


@contextlib.contextmanager
def silent(title, total=0, unit="", done=0):
    """Progress that nobody watches."""
    yield lambda done, note="": None


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets") / "drawn"
    kinds = [("a", "train", 0), ("b", "train", 1), ("c", "val", 2), ("d", "test", 3), ("e", "test", 4)]
    write_dataset(folder, [recorded(*kind) for kind in kinds], 0.2)
    return folder


@pytest.fixture(scope="session")
def towns(tmp_path_factory):
    """Two maps without traffic: a ring, and a crossing with a light."""
    folder = tmp_path_factory.mktemp("towns") / "towns"
    maps = [("ring", scenes.ring()), ("crossing", scenes.crossing(agents=()))]
    records = []
    for name, drawn in maps:
        scenario, _ = compile_recording(dataclasses.replace(drawn, name=name))
        records.append((Entry(name, f"{name}.py", name, "train", "drawn", "CC0", 50, {}, {}, {}, ()), scenario))
    write_dataset(folder, records, 0.2)
    return folder


@pytest.fixture
def run(dataset):
    cloning = Stage(
        name="bc",
        algorithm=Bc(longest=24),
        optimiser=Optimiser(learning_rate=1e-3),
        criterion=LowestLoss(patience=2),
        scenes=4,
        minibatches=6,
        agent_steps=4 * 24 * 3,
        evaluate_every=1,
        checkpoint_every=1,
    )
    improvement = Stage(
        name="bc_ppo",
        algorithm=Ppo(window=8),
        optimiser=Optimiser(learning_rate=1e-3),
        criterion=FewestFailures(),
        scenes=4,
        minibatches=2,
        agent_steps=4 * 32,
        evaluate_every=2,
        checkpoint_every=1,
    )
    return Run(
        name="small",
        data=Data(dataset=str(dataset)),
        policy=DeepSetsSizes(tokens=8, width=8),
        stages=(cloning, improvement),
    )


@pytest.fixture
def errands(towns):
    """A run of self-play on the ring, judged on the crossing too."""
    learning = Stage(
        name="self_play",
        title="Self-play",
        algorithm=Ppo(window=8),
        optimiser=Optimiser(learning_rate=1e-3),
        criterion=MostGoals(),
        scenes=2,
        minibatches=2,
        kept=0.5,
        agent_steps=2 * 4 * 8 * 2,
        evaluate_every=1,
        checkpoint_every=1,
    )
    return Run(
        name="errands",
        data=Data(dataset=str(towns)),
        asked=Asked(("ring",), ("crossing",), Town(agents=4, programmes=2), judged=2, seconds=6.0),
        env=Env(Jerk(), Nobody(), Anywhere(), ending=Lives(), observer=Sight(agents=2, road=2, errand=True)),
        policy=DeepSetsSizes(tokens=8, width=8),
        stages=(learning,),
    )
