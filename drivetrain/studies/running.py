"""The study of learning rules from data to page: `results.json` and `report.html` in its folder."""

from pathlib import Path
from typing import Any

import jax

from drivetrain.banks.part import Part
from drivetrain.learn.apg import Apg
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.policy.base import Architecture
from drivetrain.policy.separate import Separate
from drivetrain.runs.site import Progress
from drivetrain.studies.cells import (
    Cell,
    conclude,
    digest_of,
    is_trained,
    judged,
    kept,
    load_judged,
    open_study,
    train_cells,
)
from drivetrain.studies.comparing import Comparison
from drivetrain.studies.crowds import crowds
from drivetrain.studies.gradients import gradient_norms, memory
from drivetrain.studies.learning_rules import Plan
from drivetrain.studies.overfit import overfit, winding_episode
from drivetrain.studies.page import study_page
from drivetrain.types import replace

LENGTHS = (1, 5, 10, 20, 40)
"""Steps that gradients are measured over."""
OVERFIT_UPDATES = 600
CROWDS, CROWD_UPDATES = (32, 128, 512), 300
"""Agents driven at once in drawn scenes, of which the policy learns with the first number."""


def learning_rules(plan: Plan, out: Path, only: tuple[str, ...], progress: Progress) -> Path:
    """Train the cells that are not yet trained, measure all that are, and write the page; its path.

    With `only`, cells of those rules alone are trained; several processes may so share a folder.
    """
    open_study(out, (plan.data, plan.budget, plan.policy))
    digest = digest_of(plan.data, progress)
    train_cells(plan.cells(only), out, progress)
    return out if only else measure(plan, out, digest, progress)


def measure(plan: Plan, out: Path, digest: str, progress: Progress) -> Path:
    """Measure every cell that is trained, and write the page; its path."""
    trained = [cell for cell in plan.cells() if is_trained(cell, out, digest, progress)]
    results = Comparison(plan, trained, out).figures(progress) | _further(plan, trained, out, progress)
    return conclude(out, results, study_page(results))


def _further(plan: Plan, cells: list[Cell], out: Path, progress: Progress) -> dict[str, Any]:
    """What is measured once beside the cells: each part is kept when it is done."""
    lot = Part(tuple(data.dataset for data in plan.data), "train", seconds=plan.budget.longest * plan.data[0].dt).whole
    bank, episodes = lot.bank, lot.drawn(0.5)
    env = plan.run("apg", 0).env

    def by_heart() -> dict[str, Any]:
        learning = {rule: _by_heart(plan, rule) for rule in ("bc", "apg")}
        with progress("overfit", total=len(learning) * OVERFIT_UPDATES, unit="updates") as show:
            return overfit(env, learning, bank, winding_episode(bank), OVERFIT_UPDATES, show)

    def norms() -> dict[str, Any]:
        lengths = tuple(length for length in LENGTHS if length <= plan.budget.longest)
        run = plan.run("apg", 0)
        policies = {"untrained": jax.jit(lambda key: run.policy.build(env, key))(jax.random.key(0))}
        for cell in cells:
            if (cell.rule, cell.seed) == ("apg", 0):
                policies["trained by APG"] = load_judged(cell, judged(cell, out)[-1])
        return {name: gradient_norms(env, policy, bank, episodes, lengths) for name, policy in policies.items()}

    def held() -> dict[str, Any]:
        ppo, loop = plan.run("bc_ppo", 0), plan.run("bc_loop", 0)
        bare: Architecture = loop.policy
        shapes = {
            "PPO, a critic of its own": (Separate(bare, ppo.policy), ppo.stages[1]),
            "PPO, a shared encoder": (ppo.policy, ppo.stages[1]),
            "LOOP": (bare, loop.stages[1]),
            "APG": (bare, plan.run("apg", 0).stages[0]),
        }
        return {name: memory(env, made, stage, bank, episodes) for name, (made, stage) in shapes.items()}

    def at_once() -> dict[str, Any]:
        run = plan.run("apg_together", 0)
        learning = replace(run.stages[0], scenes=2, averaging=0.0)
        with progress("crowds", total=CROWD_UPDATES, unit="updates") as show:
            return crowds(env, run.policy, learning, CROWDS, CROWD_UPDATES, show)

    parts = {"overfit": by_heart, "gradients": norms, "memory": held, "crowds": at_once}
    return {name: kept(out / "further" / f"{name}.json", make) for name, make in parts.items()}


def _by_heart(plan: Plan, rule: str) -> tuple[Architecture, Learning]:
    """A rule of learning for one episode: the same scene eight times, as many steps of descent, the rate falling."""
    run = plan.run(rule, 0)
    algorithm = run.stages[0].algorithm
    if isinstance(algorithm, Apg):
        algorithm = replace(algorithm, reset_every=5, reset_doubling=OVERFIT_UPDATES // 6)
    minibatches, epochs = 4, 5
    steps = OVERFIT_UPDATES * minibatches * epochs
    optimiser = Optimiser(learning_rate=1e-3, steps=steps, final=0.01, clip=0.5)
    return run.policy, Learning(algorithm, optimiser, scenes=8, minibatches=minibatches, epochs=epochs)
