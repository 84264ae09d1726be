"""What a filter leaves out of a head: nothing below any entry's share, all of a flat head above it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from drivetrain.banks.part import Lot
from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.data.store.vocabulary import Vocabulary, write_vocabulary
from drivetrain.env import Env
from drivetrain.learn.bc import Bc
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.vocabulary import VocabularyHead
from drivetrain.sim.building import make_bank
from drivetrain.sim.dynamics.motions import Motions
from drivetrain.studies.heads.leaving_out import left_out
from drivetrain.types import AgentKind

ENTRIES = 64


@pytest.fixture
def env(tmp_path):
    time = 0.2 * np.arange(1, 6)
    x = np.linspace(2.0, 20.0, ENTRIES)[:, None] * time
    motions = np.stack([x, 0.0 * x, 0.0 * x + 1.0, 0.0 * x], axis=-1).astype(np.float32)
    file = tmp_path / "vocabulary.safetensors"
    write_vocabulary(file, Vocabulary(motions[None], np.zeros(len(AgentKind), np.int32), 0.2, 0, ("",), "train", ()))
    return Env(dynamics=Motions(str(file)))


def test_of_a_flat_head_a_threshold_above_all_shares_leaves_out_all_but_the_targets(env):
    """One car's speed is one entry, which stands in one of eight blocks."""
    cars = (scenes.along_x(1.75, 20.0, speed=8.0),)
    bank = make_bank([scenes.scenario(scenes.straight_road(agents=cars, steps=24))], 0.2)
    policy = DeepSetsSizes(tokens=4, width=8, head=VocabularyHead(scale=0.0)).build(env, jax.random.key(0))
    cuts = [Cut(512, 8, least) for least in (0.5 / ENTRIES, 2.0 / ENTRIES)]
    below, above = left_out(env, Bc(longest=10), policy, Lot(bank, ("straight",), (0,), steps=23), cuts)
    assert below["skipped"] == 0.0 and below["off"] < 1e-5
    assert above["skipped"] == 7 / 8 and above["off"] > 0.05
    assert below["loss"] == pytest.approx(float(jnp.log(ENTRIES)), rel=1e-5)
