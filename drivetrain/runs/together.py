"""Several processes that learn a run together: each the stages in its role, and nothing after them."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from drivetrain.fleet.away import gather_away
from drivetrain.fleet.desk import Desk, Door
from drivetrain.fleet.generation import keep
from drivetrain.fleet.supervisor import Beat, Place, supervise
from drivetrain.parallel import join, leads, leave
from drivetrain.runs.configuration import to_json
from drivetrain.runs.judging import follow
from drivetrain.runs.learning import ground_of, judge_of, run_stages, shapes_of
from drivetrain.runs.recipe_file import load_recipe, names_file
from drivetrain.runs.run import Run, load_run
from drivetrain.runs.site import Progress, Show, Site
from drivetrain.runs.wandb import open_sinks


@dataclass(frozen=True)
class Member:
    """A `fleet.supervisor.Life`: the stages of the run in a folder, from its newest good checkpoint on."""

    folder: str
    digest: str  # of its datasets
    recipe: str  # FILE.py:FUNCTION, where components are known by it
    here: str  # the folder from which paths are meant

    def __call__(self, place: Place, tell: Callable[[Beat], None], door: Door) -> None:
        """To their end, in the role that the place has. Raises `InputError` where the run is wrong."""
        os.chdir(self.here)
        if place.role == "learner":
            join(place.address, place.count, place.rank)
        if names_file(self.recipe):
            load_recipe(self.recipe)
        run = load_run(Path(self.folder))
        if place.role == "actor":
            gather_away(door, place.number, partial(ground_of, run))
        elif place.role == "evaluator":
            follow(run, Path(self.folder), lambda stage: (judge_of(run, stage), shapes_of(run, stage)), door)
        else:
            leave(run.fleet.devices)
            self._learn(run, tell, door)

    def _learn(self, run: Run, tell: Callable[[Beat], None], door: Door) -> None:
        @contextlib.contextmanager
        def progress(title: str, total: int, unit: str, done: int = 0) -> Iterator[Show]:
            def show(now: int, note: str = "") -> None:
                tell(Beat(title, unit, now, total, note))

            show(done)
            yield show

        folder = Path(self.folder)
        with contextlib.ExitStack() as stack:
            sinks = ()
            if leads():
                names = [stage.name for stage in run.stages]
                sinks = stack.enter_context(open_sinks(run.wandb, folder, run.name, names, to_json(run)))
            desk = door if isinstance(door, Desk) else None
            run_stages(run, Site(folder, self.digest, progress, sinks, run.fleet, desk))


def learn_together(run: Run, folder: Path, digest: str, recipe: str, progress: Progress) -> None:
    """Have `run.fleet.groups` processes learn the run's stages; nothing is left to do where they have learnt them.

    Raises `InputError` where the run is wrong, or the processes were begun again too often.
    """
    site = Site(folder, digest, progress)
    if all(site.notes(stage.name)["done"] for stage in run.stages):
        return
    with contextlib.ExitStack() as stack:
        last, show = Beat(), None

        def watch(beat: Beat) -> None:
            nonlocal last, show
            if not beat.title or beat == last:
                return
            if show is None or beat.title != last.title:
                stack.close()
                show = stack.enter_context(progress(beat.title, beat.total, beat.unit, beat.done))
            show(beat.done, beat.note)
            last = beat

        supervise(run.fleet, Member(str(folder), digest, recipe, os.getcwd()), folder, watch, keep)
