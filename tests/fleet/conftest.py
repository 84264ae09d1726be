import jax
import pytest
from fixtures_runs import EPISODES, dataset, run  # noqa: F401 - fixtures

from drivetrain.banks.part import Part
from drivetrain.fleet.local import begin


@pytest.fixture
def bank(run):  # noqa: F811
    return Part((run.data.dataset,), "train").whole.bank


@pytest.fixture
def begun(run, bank):  # noqa: F811
    """The training state of a stage before its first update."""

    def begun(stage):
        policy = run.policy.build(run.env, jax.random.key(0))
        return begin(run.env, stage, policy, bank, EPISODES, (jax.random.key(1), jax.random.key(2)))

    return begun
