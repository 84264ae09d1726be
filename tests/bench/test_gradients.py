"""The benchmark of gradients through the simulator: every way is measured, and less is kept where steps come again."""

import pytest
import scenes

from drivetrain.bench import gradients
from drivetrain.bench.gradients import gradient_line, measure_agents, measure_gradients
from drivetrain.sim.building import make_bank


@pytest.mark.long
def test_every_way_is_measured(monkeypatch):
    bank = make_bank([scenes.scenario(scenes.straight_road())], 0.2)
    monkeypatch.setattr(gradients, "STEPS", 6)
    monkeypatch.setattr(gradients, "HORIZONS", (1, 6))
    rows = list(measure_gradients(bank, 2, 0.0))
    assert [row.horizon for row in rows] == [0, 1, 1, 6, 6, 6, 6]
    assert rows[0].ratio == 1.0 and all(row.milliseconds > 0.0 and row.temporary_mb > 0.0 for row in rows)
    kept, again = rows[-2:]
    assert again.rematerialised and again.temporary_mb < kept.temporary_mb
    assert all(len(gradient_line(row)) > 60 for row in rows)
    monkeypatch.setattr(gradients, "AGENTS", (4,))
    driven, learnt = measure_agents(0.0)
    assert driven.horizon == 0 and learnt.horizon == 5
