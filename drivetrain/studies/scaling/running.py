"""The study of scaling from data to page: `results.json` and `report.html` in its folder."""

from pathlib import Path

from drivetrain.runs.site import Progress
from drivetrain.studies.cells import conclude, digest_of, is_trained, open_study, train_cells
from drivetrain.studies.scaling.comparing import Comparison
from drivetrain.studies.scaling.page import scaling_page
from drivetrain.studies.scaling.plan import Plan, identity
from drivetrain.studies.scaling.sets import check_hours, make_sets


def scaling(plan: Plan, out: Path, progress: Progress) -> Path:
    """Make the nested sets, train the cells that are not yet trained, measure all, and write the page; its path."""
    digest_of((plan.data,), progress)
    check_hours(plan.data, plan.hours)
    open_study(out, identity(plan))
    make_sets(plan.data, plan.hours, out)
    train_cells(plan.cells(out), out, progress)
    return measure(plan, out, progress)


def measure(plan: Plan, out: Path, progress: Progress) -> Path:
    """Measure every cell that is trained, and write the page; its path."""
    cells = [(cell, digest_of((cell.run.data,), progress)) for cell in plan.cells(out)]
    trained = [cell for cell, digest in cells if is_trained(cell, out, digest, progress)]
    results = Comparison(plan, trained, out).figures(progress)
    return conclude(out, results, scaling_page(results))
