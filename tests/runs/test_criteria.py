"""By what the best is chosen: means over all validation steps, and failures with each dataset by its share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from fixtures_runs import recorded

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.store.shards import write_dataset
from drivetrain.env import Env
from drivetrain.fleet.local import losses
from drivetrain.learn.bc import Bc
from drivetrain.learn.ppo import Ppo
from drivetrain.policy.base import Policy
from drivetrain.policy.categorical import Categorical
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.runs import criteria
from drivetrain.runs.criteria import FewestFailures, LowestLoss, MostGoals, Validation
from drivetrain.types import Array, InputError, replace

ENV, BC = Env(), Bc(longest=24)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three recordings to validate on, of two egos each."""
    folder = tmp_path_factory.mktemp("criteria") / "three"
    write_dataset(folder, [recorded(f"v{seed}", "val", seed) for seed in range(3)], 0.2)
    return str(folder)


@pytest.fixture(scope="module")
def policy():
    return DeepSetsSizes(tokens=8, width=8).build(ENV, jax.random.key(3))


@pytest.mark.parametrize(("recordings", "at_once"), [(0, 64), (0, 4), (1, 64), (2, 3)])
def test_the_loss_is_the_mean_over_all_steps_whatever_the_lots(three, policy, monkeypatch, recordings, at_once):
    """Episodes of 24 steps, judged one by one here; the criterion takes them in lots and shares, some of padding."""
    monkeypatch.setattr(criteria, "AT_ONCE", at_once)
    validation = Validation((three,), 1.0, recordings)
    score, line = LowestLoss().open(ENV, BC, validation)(policy)
    whole = Validation((three,), 1.0).part().whole
    each = [losses(ENV, BC, whole.bank, policy, jnp.array([row]), jnp.ones(1)) for row in whole.rows()]
    steps = sum(float(weight) for weight, _ in each)
    assert steps == 6 * 24
    assert score == pytest.approx(sum(float(figures.loss) for _, figures in each) / steps, rel=1e-5)
    assert line["val_loss"] == score
    nll = sum(np.asarray(figures.nll) for _, figures in each) / steps
    np.testing.assert_allclose([line["val_nll_0"], line["val_nll_1"]], nll, rtol=1e-5)


def test_the_loss_is_of_episodes_as_long_as_those_that_are_learnt_from(three, policy):
    part = Validation((three,), 1.0, seconds=2.0).part(2.0)
    weight, figures = criteria._summed(ENV, BC, part.whole, policy)
    assert float(weight) == 6 * 24  # cut into thirds, none left out
    score, _ = LowestLoss().open(ENV, BC, Validation((three,), 1.0, seconds=2.0))(policy)
    assert score == pytest.approx(float(figures.loss) / (6 * 24))


class Steady(Policy):
    """Prefers one acceleration and no steering."""

    logits: tuple[Array, Array]

    def __call__(self, observation, memory, key):
        return Categorical(self.logits), jnp.zeros(()), memory


def steady(acceleration):
    return Steady((jnp.zeros(71).at[round(10 * acceleration) + 40].set(1.0), jnp.zeros(31).at[15].set(1.0)))


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Another dataset: whoever does not brake runs into a car that stands 15 m ahead; two egos of four do."""
    folder = tmp_path_factory.mktemp("criteria") / "crowded"
    entry, scenario = recorded("free", "val", 0)
    blocked = (scenes.along_x(1.75, 20.0, 9.0), scenes.along_x(1.75, 40.0, 0.0))
    drawn = scenes.straight_road(lanes=2, length=400.0, agents=blocked, steps=25, name="blocked")
    compiled = compile_recording(drawn)[0]
    count = int(np.sum(np.asarray(compiled.egos.track) >= 0))
    egos = tuple(replace(entry.egos[0], track_id=100 + row) for row in range(count))
    second = replace(entry, name="blocked", file="blocked.py", group="group-blocked", egos=egos)
    write_dataset(folder, [(entry, scenario), (second, compiled)], 0.2)
    return str(folder), count


def test_failures_are_weighed_by_the_share_of_each_dataset(three, crowded):
    folder, blocked = crowded
    alone, _ = FewestFailures().open(ENV, BC, Validation((folder,), 1.0))(steady(0.0))
    assert 0.0 < alone < 1.0 and alone == pytest.approx(1.0 / (2 + blocked))  # the car that drives, of all egos
    for share in (0.75, 0.4):
        score, line = FewestFailures().open(ENV, BC, Validation((three, folder), share))(steady(0.0))
        assert line["val_failure_rate"] == 0.0 and line["crowded_failure"] == alone
        assert score == line["val_score"] == pytest.approx((1.0 - share) * alone)
        assert line["val_progress_ratio"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("recordings", [0, 1])
def test_a_policy_that_does_not_get_on_is_chosen_only_where_none_does(three, recordings):
    judge = FewestFailures(least_progress=0.9).open(ENV, BC, Validation((three,), 1.0, recordings))
    score, line = judge(steady(-4.0))
    assert line["val_progress_ratio"] < 0.9 and line["val_failure_rate"] == 0.0
    assert score == 1.0 and judge(steady(0.0))[0] == 0.0
    lenient = FewestFailures(least_progress=0.0).open(ENV, BC, Validation((three,), 1.0, recordings))
    assert lenient(steady(-4.0))[0] == 0.0


def test_goals_are_asked_of_self_play_alone(policy):
    with pytest.raises(InputError, match="MostGoals: the run learns on no map"):
        MostGoals().open(Env(), Ppo(), Validation(("nowhere",), 1.0))
