"""The study of heads from data to page: `results.json` and `report.html` in its folder."""

from pathlib import Path

from drivetrain.runs.site import Progress
from drivetrain.studies.cells import conclude, digest_of, is_trained, open_study, train_cells
from drivetrain.studies.heads.comparing import Comparison
from drivetrain.studies.heads.page import heads_page
from drivetrain.studies.heads.plan import Plan


def heads(plan: Plan, out: Path, progress: Progress) -> Path:
    """Train the cells that are not yet trained, measure all, and write the page; its path."""
    open_study(out, (plan.data, plan.entries, plan.budget, plan.policy))
    digest = digest_of((plan.data,), progress)
    cells = plan.cells(out)
    train_cells(cells, out, progress)
    return measure(plan, out, digest, progress)


def measure(plan: Plan, out: Path, digest: str, progress: Progress) -> Path:
    """Measure every cell that is trained, and write the page; its path."""
    trained = [cell for cell in plan.cells(out) if is_trained(cell, out, digest, progress)]
    results = Comparison(plan, trained, out).figures(progress)
    return conclude(out, results, heads_page(results))
