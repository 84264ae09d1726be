"""A trained policy with its configuration: from a run, one of its checkpoints, or a folder that stands alone.

    trained = drivetrain.load_policy("runs/quickstart")
    distribution, value, memory = trained.policy(observation, memory, key)

What `export` writes, in the layout that model hubs expect:

    FOLDER/config.json         the run's, and under "model" the digest of the weights
    FOLDER/model.safetensors   every array of the policy by its path
    FOLDER/README.md           the model card (`card.py`)
"""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import jax

from drivetrain.atomic import write_atomically
from drivetrain.data.store.atomic_folder import fresh_folder
from drivetrain.drivers.greedy import Greedy
from drivetrain.policy.anchored import acting
from drivetrain.policy.base import Policy, count_parameters
from drivetrain.runs.card import model_card
from drivetrain.runs.checkpoints import load_checkpoint, newest_good, pack_tree, read_tree
from drivetrain.runs.configuration import read_config
from drivetrain.runs.recipe_file import load_recipe
from drivetrain.runs.run import Run, load_run
from drivetrain.runs.stage import Best
from drivetrain.types import InputError

MODEL, CARD = "model.safetensors", "README.md"


@dataclasses.dataclass(frozen=True)
class Trained:
    """A policy, the configuration that it was trained by, and what is said of it."""

    run: Run  # `run.env` is the environment that it drives in
    policy: Policy
    stage: str  # whose best it is
    card: str  # Markdown

    @property
    def driver(self) -> Greedy:
        """It as a driver, by its likeliest action."""
        return Greedy(self.policy, self.run.env.dynamics)


def load_policy(place: str | Path, recipe: str | None = None) -> Trained:
    """The policy of a run's folder (the best of its last stage), of a checkpoint, or of an exported folder.

    `recipe` is FILE.py:FUNCTION, where the run was trained by one: only then are its components found. Raises
    `InputError`, which names the file and the remedy, where something is missing, damaged or of another version.
    """
    if recipe is not None:
        load_recipe(recipe)
    folder = Path(place)
    if folder.is_dir() and "model" in read_config(folder):
        return _exported(folder)
    return _trained(folder)


def export(place: str | Path, out: str | Path, recipe: str | None = None) -> Path:
    """Write the policy of a run or a checkpoint to a new folder, whole or not at all, and return it."""
    if recipe is not None:
        load_recipe(recipe)
    file, target = checkpoint_of(Path(place)), Path(out)
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target}: not empty (name a new folder)")
    trained = _trained(file)
    data = pack_tree(trained.policy, {})
    weights = {
        "file": MODEL,
        "sha256": hashlib.sha256(data).hexdigest(),
        "stage": trained.stage,
        "parameters": count_parameters(trained.policy),
    }
    config = read_config(_run_of(file)) | {"model": weights}
    with fresh_folder(target, overwrite=False) as part:
        write_atomically(part / MODEL, data)
        write_atomically(part / "config.json", json.dumps(config, indent=1).encode())
        write_atomically(part / CARD, trained.card.encode())
    return target


def checkpoint_of(path: Path) -> Path:
    """A checkpoint as it is named, or the newest good one of a run; damaged ones are named and passed over."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path}: no such run or checkpoint (name one)")
    for stage in reversed(load_run(path).stages):
        for file, reason in newest_good(path / "checkpoints" / stage.name):
            if not reason:
                return file
            print(f"drivetrain: {reason}", file=sys.stderr)
    raise InputError(f"{path}: checkpoints: none is whole (train first)")


def _run_of(checkpoint: Path) -> Path:
    return checkpoint.parent.parent.parent


def _shapes(run: Run) -> Policy:
    return jax.eval_shape(lambda: run.policy.build(run.env, jax.random.key(0)))


def _trained(path: Path) -> Trained:
    """Of a run's folder, or of a checkpoint."""
    file = checkpoint_of(path)
    folder, stage = _run_of(file), file.parent.name
    run = load_run(folder)
    algorithms = {each.name: each.algorithm for each in run.stages}
    if stage not in algorithms:
        raise InputError(f"{file}: {stage}: no stage of its run (name a checkpoint where training left it)")
    like = jax.eval_shape(lambda: algorithms[stage].begin(run.policy.build(run.env, jax.random.key(0))))
    restored, notes = load_checkpoint(file, Best(like))
    return Trained(run, acting(restored.best), stage, model_card(folder, stage, bool(notes.get("done"))))


def _exported(folder: Path) -> Trained:
    """Of a folder that `export` wrote."""
    run, model, file = load_run(folder), read_config(folder)["model"], folder / MODEL
    try:
        wanted, stage = str(model["sha256"]), str(model["stage"])
    except (TypeError, KeyError):
        raise InputError(f"{folder / 'config.json'}: model: no sha256 and stage (export again)") from None
    try:
        data, card = file.read_bytes(), (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: {MODEL} and {CARD}: {error} (export again)") from None
    if hashlib.sha256(data).hexdigest() != wanted:
        raise InputError(f"{file}: sha256: not the weights that config.json names (fetch or export them again)")
    policy, _ = read_tree(file, _shapes(run))
    return Trained(run, policy, stage, card)
