"""Learning rules head to head: BC, PPO, APG and LOOP on the same scenes, the same policy and the same events.

    rules       the comparison: every seed, at equal agent-steps and at equal training time
    ladder      REINFORCE leave-one-out → LOOP → normalised → a critic, one option of `Loop` after another
    through     APG: how far back gradients go; resets to the log; half the length; memory; many agents at once

Nothing is scheduled but APG's resets, and every policy is judged a few times on its way, so that one run answers for
every budget below its own. What is chosen is chosen on validation.
"""

from dataclasses import dataclass

from drivetrain.learn.algorithm import Algorithm
from drivetrain.learn.apg import Apg
from drivetrain.learn.bc import Bc
from drivetrain.learn.loop import Loop
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.policy.base import Architecture
from drivetrain.policy.categorical import CategoricalHead
from drivetrain.policy.mixture import MixtureHead
from drivetrain.policy.presets import POOLED
from drivetrain.policy.recurrent import RecurrentSizes
from drivetrain.runs.criteria import FewestFailures
from drivetrain.runs.run import Data, Run, Stage
from drivetrain.studies.cells import Cell
from drivetrain.types import InputError, component, replace

TITLES = {
    "bc": "BC",
    "bc_ppo": "BC + PPO",
    "apg": "APG",
    "apg_margins": "APG, reward gradients",
    "apg_ppo": "APG + PPO",
    "bc_loop": "BC + LOOP",
    "bc_grid": "BC, grid of actions",
    "bc_ppo_grid": "BC + PPO, grid of actions",
    "rloo": "BC + REINFORCE leave-one-out",
    "grpo": "BC + LOOP, normalised (GRPO)",
    "loop_critic": "BC + LOOP's rollouts, a critic",
    "apg_one": "APG, one step back (the paper's)",
    "apg_whole": "APG, whole drive back",
    "apg_sighted": "APG, whole drive back, sight included",
    "apg_recorded": "APG, recorded states alone",
    "apg_free": "APG, never put back",
    "apg_growing": "APG, resets ever rarer",
    "apg_half": "APG, half the length",
    "apg_recurrent": "APG, recurrent policy",
    "apg_together": "APG, eight agents at once",
}
"""On pages, by the names of the cells."""

RULES = ("bc", "bc_ppo", "apg", "apg_margins", "apg_ppo", "bc_loop", "bc_grid", "bc_ppo_grid")
LADDER = ("rloo", "grpo", "loop_critic")
THROUGH = (
    "apg_one",
    "apg_whole",
    "apg_sighted",
    "apg_recorded",
    "apg_free",
    "apg_growing",
    "apg_half",
    "apg_recurrent",
    "apg_together",
)

TOGETHER = 8
"""Agents that "apg_together" drives in one scene: the recordings at hand hold twice as many, seldom more."""

SLACK = 0.02
"""A policy is as good as the best on validation within this failure rate: about a standard error."""


@component
class Budget:
    """How much each rule may learn, and of how many scenes at once."""

    agent_steps: int = 1_000_000  # what all rules are compared at
    first: float = 0.4  # share of it that a first stage takes, where there are two
    further: float = 3.0  # times as many steps that rules which simulate more than they learn go on to
    seeds: int = 3
    scenes: int = 64  # of APG; BC takes twice as many, PPO four times, LOOP three eighths
    longest: int = 40  # steps of an episode
    judgements: int = 8  # of each stage


GPU = Budget(agent_steps=20_000_000, scenes=256)
"""For a GPU."""


@dataclass(frozen=True)
class Plan:
    """What is to be run on which data."""

    data: tuple[Data, ...]  # the study's own first
    budget: Budget = Budget()
    policy: Architecture = replace(POOLED, head=MixtureHead())

    def cells(self, only: tuple[str, ...] = ()) -> list[Cell]:
        """Every cell, the comparison's first; of the others, one seed. Raises `InputError` for a name that is none."""
        for name in only:
            if name not in TITLES:
                raise InputError(f"{name}: no rule of the study (use some of {', '.join(TITLES)})")
        seeds = {name: self.budget.seeds if name in RULES else 1 for name in (*RULES, *LADDER, *THROUGH)}
        chosen = [name for name in seeds if not only or name in only]
        return [Cell(name, seed, self.run(name, seed)) for name in chosen for seed in range(seeds[name])]

    def run(self, rule: str, seed: int) -> Run:
        """The whole configuration of one cell."""
        budget = self.budget
        run = Run(
            name=rule,
            data=self.data[0],
            more=self.data[1:],
            episode_seconds=budget.longest * self.data[0].dt,
            policy=self._policy(rule),
            stages=self._stages(rule),
            seed=seed,
        )
        if rule == "apg_together":
            return replace(run, controlled=TOGETHER)
        return replace(run, episode_seconds=run.episode_seconds / 2) if rule == "apg_half" else run

    def _policy(self, rule: str) -> Architecture:
        if rule.endswith("grid"):
            return replace(self.policy, head=CategoricalHead())  # type: ignore[call-arg]
        if rule in ("bc_ppo", "apg_ppo", "loop_critic"):
            return self.policy
        bare = replace(self.policy, critic=False)  # type: ignore[call-arg]
        return RecurrentSizes(bare) if rule == "apg_recurrent" else bare  # type: ignore[arg-type]

    def _stages(self, rule: str) -> tuple[Stage, ...]:
        whole, part = self.budget.agent_steps, int(self.budget.first * self.budget.agent_steps)
        rest = int(self.budget.further * whole) - part
        if rule in ("bc", "bc_grid"):
            return (self._bc(whole),)
        if rule in ("bc_ppo", "bc_ppo_grid"):
            return (self._bc(part), self._ppo(rest))
        if rule == "apg_ppo":
            return (self._apg("apg", part), self._ppo(rest))
        if rule in ("bc_loop", *LADDER):
            return (self._bc(part), self._loop(rule, rest))
        return (self._apg(rule, whole),)

    def _bc(self, steps: int) -> Stage:
        algorithm = Bc(longest=self.budget.longest, value_scale=1e-2)
        return self._stage("bc", algorithm, steps, 2 * self.budget.scenes, 1e-3, minibatches=10, epochs=2)

    def _ppo(self, steps: int) -> Stage:
        algorithm = Ppo(window=32, value_scale=0.05, entropy=3e-4)
        stage = self._stage("ppo", algorithm, steps, 4 * self.budget.scenes, 5e-4, minibatches=2, epochs=4)
        return replace(stage, kept=0.25)

    def _loop(self, rule: str, steps: int) -> Stage:
        algorithm = Loop(rollouts=6, longest=self.budget.longest)
        scenes = max(3 * self.budget.scenes // 8, 1)
        if rule == "rloo":
            return self._stage("loop", algorithm, steps, scenes, 6e-4, minibatches=1, epochs=1)
        if rule == "grpo":
            algorithm = replace(algorithm, normalise=True)
        if rule == "loop_critic":
            algorithm = replace(algorithm, value_scale=0.05)
        return self._stage("loop", algorithm, steps, scenes, 6e-4, minibatches=4, epochs=2)

    def _apg(self, rule: str, steps: int) -> Stage:
        at_once = TOGETHER if rule == "apg_together" else 1
        scenes = max(self.budget.scenes // at_once, 1)
        return self._stage("apg", apg(rule, self.budget), steps // at_once, scenes, 1e-3, minibatches=4, epochs=1)

    def _stage(
        self, name: str, algorithm: Algorithm, steps: int, scenes: int, rate: float, minibatches: int, epochs: int
    ) -> Stage:
        updates = max(-(-steps // (scenes * algorithm.steps())), 1)
        every = max(updates // self.budget.judgements, 1)
        return Stage(
            name=name,
            title=name.upper(),
            algorithm=algorithm,
            optimiser=Optimiser(learning_rate=rate, warmup=20, clip=0.5),
            criterion=FewestFailures(slack=SLACK),
            scenes=scenes,
            minibatches=minibatches,
            epochs=epochs,
            averaging=0.0 if name == "bc" else min(0.98, 1.0 - 5.0 / updates) if updates > 5 else 0.0,
            agent_steps=steps,
            evaluate_every=every,
            checkpoint_every=every,
            keep_judged=True,
        )


HORIZON = 5
"""Steps that gradients go back by default: at 5 Hz, a second."""


def apg(rule: str, budget: Budget) -> Apg:
    """The algorithm of a cell of the study."""
    plain = Apg(longest=budget.longest, horizon=HORIZON)
    return {
        "apg_margins": replace(plain, margin_price=1.0),
        "apg_one": replace(plain, horizon=1),
        "apg_whole": replace(plain, horizon=budget.longest, reset_every=0),
        "apg_sighted": replace(plain, sighted=True, reset_every=0),
        "apg_recorded": replace(plain, horizon=1, reset_every=1),
        "apg_free": replace(plain, reset_every=0),
        "apg_growing": replace(plain, reset_every=5, reset_doubling=100),
        "apg_half": replace(plain, longest=budget.longest // 2),
    }.get(rule, plain)
