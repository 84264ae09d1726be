"""A policy outside its own world: a matrix of past ones, a dense world, and recorded traffic."""

import json

import pytest
from fixtures_runs import silent

from drivetrain.runs.training import train
from drivetrain.studies.cross_play import Across, cross_play, kept
from drivetrain.types import InputError, replace


@pytest.mark.long
def test_all_that_is_measured_stands_on_the_page(errands, dataset, tmp_path):
    (stage,) = errands.stages
    run = replace(errands, stages=(replace(stage, keep_judged=True),))
    train(run, tmp_path / "run", resume=False, progress=silent)
    across = Across(str(tmp_path / "run"), (str(dataset),), worlds=1, seconds=1.0)
    page = cross_play(across, tmp_path / "study", silent).read_text()
    results = json.loads((tmp_path / "study" / "results.json").read_text())
    assert list(results["checkpoints"]) == ["64", "128"]
    assert results["dense"]["agents"] == 50 and results["dense"]["seconds"] == pytest.approx(1.0)
    assert results["dense"]["dt"] == pytest.approx(1.0 / 15.0, abs=1e-6)
    tables = results["recordings"][str(dataset)]
    assert set(tables) == {"replayed", "reactive"}
    assert set(tables["replayed"]) == {"run", "log", "constant", "idm"}
    assert "Among past ones" in page and "among reactive traffic" in page


def test_a_run_that_kept_nothing_is_named(errands, tmp_path):
    with pytest.raises(InputError, match="policies: none is kept"):
        kept(tmp_path, errands)
