"""A run with another head is a whole run; what cannot have one is refused."""

from pathlib import Path

import jax
import numpy as np
import pytest

from drivetrain.commands.train import recipe
from drivetrain.data.store.vocabulary import Vocabulary, write_vocabulary
from drivetrain.policy.joint import JointHead
from drivetrain.policy.vocabulary import VocabularyHead
from drivetrain.recipes import RECIPES
from drivetrain.recipes.heads import HEADS, with_head
from drivetrain.runs.configuration import from_json, to_json
from drivetrain.sim.dynamics.motions import Motions
from drivetrain.types import AgentKind, InputError, replace

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """32 motions of 2 s, straight on."""
    along = np.linspace(0.0, 60.0, 32)[:, None] * np.linspace(0.1, 1.0, 10)
    motions = np.stack([along, 0.0 * along, 1.0 + 0.0 * along, 0.0 * along], axis=-1).astype(np.float32)
    path = tmp_path_factory.mktemp("heads") / "vocabulary.safetensors"
    write_vocabulary(path, Vocabulary(motions[None], np.zeros(len(AgentKind), np.int32), 0.2, 0, ("",), "train", ()))
    return path


def test_a_head_goes_by_its_name():
    run = RECIPES["quickstart"]()
    assert with_head(run, "columns") == run
    joint = with_head(run, "joint")
    assert joint.policy.head == JointHead() and replace(joint, policy=run.policy) == run
    assert set(HEADS) == {"columns", "joint", "mixture"}


def test_motions_are_followed_by_the_runs_own_dynamics(file):
    run = RECIPES["paper-750k"]()
    other = with_head(run, str(file))
    assert isinstance(other.env.dynamics, Motions) and other.env.dynamics.model == run.env.dynamics
    assert other.policy.head == VocabularyHead() and other.policy.width == run.policy.width
    assert [stage.algorithm.horizon for stage in other.stages[:1]] == [10]  # 2 s, as the motions last
    assert other.stages[1:] == run.stages[1:]
    assert from_json(to_json(other), "config.json") == other
    policy = jax.eval_shape(lambda: other.policy.build(other.env, jax.random.key(0)))
    assert policy.head.classifier.shape == (32, run.policy.width) and policy.head.cut.dtype == "bfloat16"


def test_what_cannot_have_a_head_is_refused(file, tmp_path):
    run = RECIPES["quickstart"]()
    with pytest.raises(InputError, match="jiont: no such head"):
        with_head(run, "jiont")
    with pytest.raises(InputError, match="LinearSizes has none to change"):
        with_head(recipe(f"{EXAMPLES}/own_policy.py:mine"), "joint")
    other = with_head(run, str(file))
    changed = replace(other.env.dynamics, digest="0" * 64)
    with pytest.raises(InputError, match="put that file back"):
        replace(other, env=replace(other.env, dynamics=changed)).policy.build(
            replace(other.env, dynamics=changed), jax.random.key(0)
        )
