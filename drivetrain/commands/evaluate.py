"""`drivetrain evaluate`: a policy or a baseline on the recordings of a dataset."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from drivetrain.atomic import write_atomically
from drivetrain.banks.part import Part
from drivetrain.data.store.shards import read_manifest
from drivetrain.drivers import BASELINES
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import evaluate, portion_of, summarise, together
from drivetrain.progress import progress
from drivetrain.rollout import Driver
from drivetrain.runs.recipe_file import load_recipe
from drivetrain.runs.run import on_recordings
from drivetrain.runs.trained import load_policy
from drivetrain.types import InputError, replace

RECORDINGS = 64
"""In memory at once."""


def run(words: list[str]) -> None:
    """Drive, sum up and print."""
    tyro.cli(evaluate_policy, prog="drivetrain evaluate", args=words)


def evaluate_policy(
    policy: Annotated[str, tyro.conf.Positional],
    data: str,
    split: Literal["train", "val", "test", "all"] = "test",
    as_json: Annotated[str | None, tyro.conf.arg(name="json")] = None,
    limit: int | None = None,
    seed: int = 0,
    recipe: str | None = None,
) -> None:
    """Drive every admitted ego of a split to the end of its recording, and sum up.

    Args:
        policy: a run's folder, one of its checkpoints, what `drivetrain export` wrote, or log, constant or idm
        data: folder of a dataset
        split: train, val or test; all: the whole dataset
        as_json: write the figures to this file
        limit: take the first recordings only
        seed: of the bootstrap, and of drivers that draw
        recipe: FILE.py:FUNCTION, where the run was trained by one
    """
    if recipe is not None:
        load_recipe(recipe)
    env, act, goals = driver(policy)
    parts = Part(
        (data,), None if split == "all" else split, RECORDINGS, env.traffic.needs_paths, limit=limit, goals=goals
    )
    driven, in_lanes = [], []
    with progress("evaluate", total=parts.episodes(), unit="episodes") as show:
        for lot in parts:
            first = lot.first
            whole = evaluate(
                env,
                lot.bank,
                act,
                portion_of(lot),
                seed=seed,
                progress=lambda done, _, first=first: show(first + done, policy),
            )
            driven.append(replace(whole, drives=None))
            in_lanes.append(lot.episode_in_lanes())
    inside = np.concatenate(in_lanes)
    figures = summarise(together(driven), policy, data, split, read_manifest(data).dt, seed, inside)
    print(describe(figures))
    if as_json is not None:
        write_atomically(Path(as_json), (json.dumps(figures, indent=1) + "\n").encode())


def driver(policy: str) -> tuple[Env, Driver, float]:
    """The environment and the driver that a word names, and the metres between goals that it needs on routes.

    Raises `InputError` where it names nothing.
    """
    if policy in BASELINES:
        return Env(), BASELINES[policy], 0.0
    if not Path(policy).exists():
        raise InputError(f"{policy}: no such run or checkpoint (name one, or one of {', '.join(BASELINES)})")
    trained = load_policy(policy)
    env, goals = on_recordings(trained.run)
    return env, trained.driver, goals


def describe(figures: dict[str, Any]) -> str:
    """Every figure with its interval, a line each."""
    lines = [f"{figures['policy']} on {figures['scenarios']} episodes of {figures['data']} ({figures['split']})"]
    for name, figure in figures.items():
        if isinstance(figure, dict) and "low" in figure:
            share = name.endswith("_rate") or name == "progress_ratio"
            lines.append(f"{name.replace('_', ' '):>18}  {spoken(figure, share)}")
    return "\n".join(lines)


def spoken(figure: dict[str, Any], share: bool) -> str:
    """A figure and its interval, shares in per cent."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value is None:
        return "–"
    scale, digits, unit = (100.0, 1, " %") if share else (1.0, 3, "")
    text = f"{scale * value:.{digits}f}{unit}"
    return text if low is None else f"{text}  ({scale * low:.{digits}f} to {scale * high:.{digits}f})"
