"""A dataset of hand-drawn roads and a run small enough to be trained in a test."""

import contextlib
import dataclasses

import pytest
import scenes

from drivetrain.data.compiling import compile_recording
from drivetrain.data.manifest import EgoEntry, Entry
from drivetrain.data.shards import write_dataset
from drivetrain.fleet.run import Cloning, Data, Improvement, Run
from drivetrain.learn.update import Optimiser
from drivetrain.policy.perceiver import Sizes


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


@pytest.fixture
def run(dataset):
    return Run(
        name="small",
        data=Data(dataset=str(dataset)),
        policy=Sizes(width=8, heads=2, latents=1, blocks=1),
        cloning=Cloning(optimiser=Optimiser(learning_rate=1e-3), batch=16, epochs=3, patience=2),
        improvement=Improvement(
            optimiser=Optimiser(learning_rate=1e-3),
            scenes=4,
            window=8,
            agent_steps=4 * 32,
            epochs=1,
            minibatches=2,
            evaluate_every=2,
            checkpoint_every=1,
        ),
    )
