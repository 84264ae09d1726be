import numpy as np
import pytest

from drivetrain.drivers import BASELINES
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate


@pytest.fixture(scope="module")
def run(bank):
    return evaluate(Env(), bank, BASELINES["idm"])


def test_idm_follows_the_bend(run, rows):
    assert not np.asarray(run.outcome.failure)[rows["curve"]].any()


def test_idm_gains_on_a_slow_log_where_nobody_is_ahead(run, rows):
    straight = rows["straight"]
    assert np.all(np.asarray(run.outcome.progress)[straight] > np.asarray(run.outcome.log_distance)[straight])
    assert np.all(np.asarray(run.drives.speed)[straight] <= 15.0 + 0.1)  # the road's limit
