"""Which curves a journal gives."""

from drivetrain.evaluate.curves import charts, is_number

ROWS = [
    {"stage": "bc", "step": 0, "val_loss": 3.0},
    {"stage": "bc", "step": 10, "val_loss": 2.0, "loss": 2.5, "note": "text"},
    {"stage": "ppo", "step": 0, "val_failure_rate": 0.5, "val_progress_ratio": 1.0},
    {"stage": "ppo", "step": 20, "val_failure_rate": 0.25, "returns": 4.0, "loss": None},
]


def test_each_stage_has_its_curves_and_begins_where_the_one_before_left():
    shown = {chart.title: chart for chart in charts(ROWS, {"bc": "BC", "ppo": "PPO"}) if chart.series}
    assert set(shown) == {
        "BC: loss",
        "PPO: failure rate on validation",
        "PPO: progress ratio on validation",
        "PPO: return of training episodes",
    }
    assert [(curve.name, curve.x, curve.y) for curve in shown["BC: loss"].series] == [
        ("val loss", [0, 10], [3.0, 2.0]),
        ("loss", [10], [2.5]),
    ]
    failures = shown["PPO: failure rate on validation"]
    assert failures.percent and failures.least == 0.0
    assert [(level.name, level.y) for level in failures.levels] == [("BC", 0.5)]


def test_numbers_are_no_booleans():
    assert is_number(1) and is_number(0.5) and not is_number(True) and not is_number("1")
