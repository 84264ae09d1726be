"""`drivetrain train`: every field of a recipe's components can be set by its dotted name."""

import collections.abc
import dataclasses
from pathlib import Path
from typing import Annotated, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from drivetrain.progress import progress
from drivetrain.recipes import RECIPES
from drivetrain.recipes.camera import with_errors
from drivetrain.recipes.heads import HEADS, with_head
from drivetrain.runs.recipe_file import load_recipe, names_file
from drivetrain.runs.run import Run
from drivetrain.runs.teaching import with_teacher
from drivetrain.runs.training import train
from drivetrain.types import InputError

USAGE = f"""usage: drivetrain train RECIPE [--out RUN | --resume RUN] [--seed N] [--head HEAD] [--teacher TEACHER]
[--errors ERRORS] [options]

RECIPE is one of {", ".join(RECIPES)}, or FILE.py:FUNCTION, a function of yours that returns a Run;
HEAD is one of {", ".join(HEADS)}, or the FILE of a vocabulary of motions (`drivetrain data vocabulary`);
TEACHER is the run of a policy that teaches, ERRORS the FILE of a detector's errors (`drivetrain study eyes`);
`drivetrain train RECIPE --help` lists every option."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train by a recipe. Every option but the first five is a field of its configuration."""

    run: Annotated[Run, tyro.conf.arg(name="")]
    out: str | None = None  # folder of a new run; runs/NAME by default
    resume: str | None = None  # folder of a run to continue, with the configuration that it was started with
    head: str | None = None  # in place of the recipe's: columns, joint, mixture, or the file of a vocabulary of motions
    teacher: str | None = None  # a run, a checkpoint or an exported policy, of a recipe that learns from one
    errors: str | None = None  # in place of the recipe's: the file of a detector's errors


def run(words: list[str]) -> None:
    """Train, or continue a run."""
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return
    default = Train(recipe(words[0]))
    chosen = tyro.cli(
        Train,
        default=default,
        prog=f"drivetrain train {words[0]}",
        args=words[1:],
        config=(tyro.conf.FlagCreatePairsOff,),
        registry=component_options(),
    )
    if chosen.head is not None:
        chosen = dataclasses.replace(chosen, run=with_head(chosen.run, chosen.head))
    if chosen.teacher is not None:
        chosen = dataclasses.replace(chosen, run=with_teacher(chosen.run, chosen.teacher))
    if chosen.errors is not None:
        chosen = dataclasses.replace(chosen, run=with_errors(chosen.run, chosen.errors))
    if chosen.resume is not None and (chosen.out is not None or chosen.run != default.run):
        raise InputError(f"{chosen.resume}: resume: a run keeps its folder and configuration (give no other option)")
    folder = Path(chosen.resume or chosen.out or f"runs/{chosen.run.name}")
    train(chosen.run, folder, chosen.resume is not None, progress, words[0])


def recipe(word: str) -> Run:
    """The run of a recipe, by its name or as FILE.py:FUNCTION. Raises `InputError` where there is none."""
    if names_file(word):
        return load_recipe(word)
    if word not in RECIPES:
        raise InputError(f"{word}: no such recipe (use one of {', '.join(RECIPES)}, or FILE.py:FUNCTION)")
    return RECIPES[word]()


def component_options() -> ConstructorRegistry:
    """Let components that stand where any callable may (a reward, an ending) offer their own fields as options."""
    registry = ConstructorRegistry()

    @registry.struct_rule
    def component_rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        kind = type(info.default)
        if get_origin(info.type) is not collections.abc.Callable or not dataclasses.is_dataclass(kind):
            return None
        hints = get_type_hints(kind)
        fields = [
            StructFieldSpec(field.name, hints[field.name], getattr(info.default, field.name))
            for field in dataclasses.fields(kind)
        ]
        return StructConstructorSpec(kind, tuple(fields))

    return registry
