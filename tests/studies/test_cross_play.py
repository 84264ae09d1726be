"""A policy outside its own world: a matrix of past ones, a dense world, and recorded traffic."""

import json

import jax
import pytest
from fixtures_runs import silent

from drivetrain.runs.trained import Trained
from drivetrain.runs.training import train
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.studies.cross_play import Across, cross_play, entrants, kept
from drivetrain.types import InputError, replace


@pytest.mark.long
def test_all_that_is_measured_stands_on_the_page(errands, dataset, tmp_path):
    (stage,) = errands.stages
    run = replace(errands, stages=(replace(stage, keep_judged=True),))
    train(run, tmp_path / "run", resume=False, progress=silent)
    train(replace(run, seed=1), tmp_path / "other", resume=False, progress=silent)
    across = Across(str(tmp_path / "run"), (str(dataset),), (str(tmp_path / "other"),), worlds=1, seconds=1.0)
    page = cross_play(across, tmp_path / "study", silent).read_text()
    results = json.loads((tmp_path / "study" / "results.json").read_text())
    assert list(results["checkpoints"]) == ["64", "128"]
    assert {ego: list(row) for ego, row in results["runs"].items()} == {
        name: ["run", "other", "idm"] for name in ("run", "other")
    }
    assert results["styles"] == {}
    assert results["dense"]["agents"] == 50 and results["dense"]["seconds"] == pytest.approx(1.0)
    assert results["dense"]["dt"] == pytest.approx(1.0 / 15.0, abs=1e-6)
    tables = results["recordings"][str(dataset)]
    assert set(tables) == {"replayed", "reactive"}
    assert set(tables["replayed"]) == {"run", "other", "log", "constant", "idm"}
    assert "Among past ones" in page and "among other" in page and "In other styles" not in page
    assert "among reactive traffic" in page


def test_a_run_that_kept_nothing_is_named(errands, tmp_path):
    with pytest.raises(InputError, match="policies: none is kept"):
        kept(tmp_path, errands)


def known(run):
    """A run as its folder would give it."""
    return Trained(run, run.policy.build(run.env, jax.random.key(0)), "stage", "card")


def test_policies_of_self_play_meet_and_others_stay_with_their_recordings(errands, run):
    across = Across("runs/one", beside=("runs/two", "runs/quickstart"))
    met = entrants(across, {"one": known(errands), "two": known(errands), "quickstart": known(run)})
    assert list(met) == ["one", "two"]


def test_policies_that_cannot_meet_are_named(errands, run):
    across = Across("runs/one", beside=("runs/two",))
    with pytest.raises(InputError, match="asked.maps: none"):
        entrants(across, {"one": known(run), "two": known(errands)})
    with pytest.raises(InputError, match="beside: two runs of one name"):
        entrants(across, {"one": known(errands)})
    for part, env in (
        ("observer", replace(errands.env, observer=replace(errands.env.observer, agents=1))),
        ("dynamics", replace(errands.env, dynamics=Jerk(top_speed=20.0))),
    ):
        with pytest.raises(InputError, match=f"two: env.{part}: not that of runs/one"):
            entrants(across, {"one": known(errands), "two": known(replace(errands, env=env))})
