"""Three hand-drawn recordings, driven once by the log and once at constant velocity.

Recording 0: a straight road, nobody in the way. 1: a bend, which constant velocity leaves. 2: two cars whose boxes
overlap.
"""

import jax
import pytest
import scenes

from drivetrain.data.compile.compiling import capacity_of, draft, pack
from drivetrain.drivers import BASELINES
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate
from drivetrain.sim.building import make_bank

STEPS, DT = 30, 0.2


@pytest.fixture(scope="session")
def scenarios():
    overlapping = (scenes.along_x(1.75, 20.0), scenes.along_x(1.75, 23.0))
    drawn = [
        scenes.straight_road(agents=(scenes.along_x(1.75, 20.0, speed=8.0),), steps=STEPS, name="straight"),
        scenes.curve(steps=STEPS, name="curve"),
        scenes.straight_road(agents=overlapping, steps=STEPS, name="overlap"),
    ]
    drafts = [draft(recording) for recording in drawn]
    capacity = capacity_of(drafts)
    return [pack(drafted, capacity)[0] for drafted in drafts]


@pytest.fixture(scope="session")
def bank(scenarios):
    return make_bank(scenarios, DT)


@pytest.fixture(scope="session")
def roads(scenarios):
    return [(scenario.map, scenario.egos) for scenario in scenarios]


@pytest.fixture(scope="session")
def log_run(bank):
    return evaluate(Env(), bank, BASELINES["log"])


@pytest.fixture(scope="session")
def constant_run(bank):
    return evaluate(Env(), bank, BASELINES["constant"])


@pytest.fixture(scope="session")
def rows(bank):
    """Rows of the bank's episodes by recording."""
    source = jax.device_get(bank.episodes.source)
    names = ("straight", "curve", "overlap")
    return {name: [row for row, of in enumerate(source) if of == i] for i, name in enumerate(names)}
