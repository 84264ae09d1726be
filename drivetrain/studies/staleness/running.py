"""The study of staleness from data to page: `results.json` and `report.html` in its folder."""

from pathlib import Path

from drivetrain.runs.site import Progress
from drivetrain.studies.cells import conclude, digest_of, is_trained, open_study, train_cells
from drivetrain.studies.staleness.comparing import Comparison
from drivetrain.studies.staleness.page import staleness_page
from drivetrain.studies.staleness.plan import Plan


def staleness(plan: Plan, out: Path, progress: Progress) -> Path:
    """Train the cells that are not yet trained, measure all, and write the page; its path."""
    open_study(out, (plan.data, plan.delays, plan.budget, plan.policy))
    digest = digest_of((plan.data,), progress)
    train_cells(plan.cells(), out, progress)
    return measure(plan, out, digest, progress)


def measure(plan: Plan, out: Path, digest: str, progress: Progress) -> Path:
    """Measure every cell that is trained, and write the page; its path."""
    trained = [cell for cell in plan.cells() if is_trained(cell, out, digest, progress)]
    results = Comparison(plan, trained, out).figures(progress)
    return conclude(out, results, staleness_page(results))
