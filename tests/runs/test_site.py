"""What a run's folder is given, and what becomes of a run whose disk has no room for it."""

import errno

import jax.numpy as jnp
import pytest
from fixtures_runs import silent

from drivetrain.runs import site as site_module
from drivetrain.runs.checkpoints import save_checkpoint
from drivetrain.runs.journal import read_metrics
from drivetrain.runs.site import NOTHING, Site
from drivetrain.runs.training import train
from drivetrain.types import replace


@pytest.fixture
def full(monkeypatch):
    """The disk is full for a while: so many saves fail."""

    def full(times):
        left = [times]

        def saved(folder, *given, **options):
            if left[0]:
                left[0] -= 1
                raise OSError(errno.ENOSPC, "No space left on device", str(folder))
            return save_checkpoint(folder, *given, **options)

        monkeypatch.setattr(site_module, "save_checkpoint", saved)

    return full


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(run, tmp_path, full, capsys):
    small = replace(run, stages=run.stages[:1])
    train(small, tmp_path / "whole", False, silent)
    full(2)
    train(small, tmp_path / "full", False, silent)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "No space left on device: no checkpoint after update 1" in said[0]

    def measured(folder):
        return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in read_metrics(tmp_path / folder)]

    assert measured("full") == measured("whole")


def test_without_its_last_checkpoint_a_stage_is_not_over(run, tmp_path, full):
    site = Site(tmp_path, "digest", silent)
    site.save("bc", 1, {"x": jnp.ones(2)}, {"lines": 3})
    full(1)
    with pytest.raises(OSError, match="No space left"):
        site.save("bc", 2, {"x": jnp.zeros(2)}, {"lines": 4, "done": True})
    kept, notes = site.restore("bc", lambda: {"x": jnp.zeros(2)})
    assert kept["x"].tolist() == [1.0, 1.0] and notes["step"] == 1 and not notes["done"]
    assert site.notes("never begun") == NOTHING
