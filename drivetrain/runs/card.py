"""The model card of a run's policy: what was trained on what, what was measured, how to load it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivetrain.evaluate.report import FURTHER, lead, name_of, read_json, stage_titles
from drivetrain.evaluate.tables import BASELINES, interval_text, percent
from drivetrain.evaluate.world_tables import NOTE, of_worlds, world_ends, world_rows

HEAD = """\
---
library_name: drivetrain
tags:
- autonomous-driving
- reinforcement-learning
- jax
---
"""
LOAD = """\
## Load it

```python
import drivetrain

trained = drivetrain.load_policy("FOLDER")  # of this file
trained.run.env  # the environment that it was trained in: what it sees, how it moves
distribution, value, memory = trained.policy(observation, memory, key)
```

`drivetrain evaluate FOLDER --data DATASET` drives it on recordings."""
PURPOSE = """\
## What it is for

Research in simulation. The figures hold for the recordings, the traffic rule and the step of time that they name, and
say nothing of driving on a road."""
COLUMNS = (
    ("failure_rate", "failure"),
    ("collision_rate", "collision"),
    ("off_route_rate", "off route"),
    ("progress_ratio", "progress, share of the log's"),
)


def model_card(folder: Path, stage: str, evaluated: bool) -> str:
    """Markdown of what a run's files say; `evaluated`: whether `evaluation.json` is of these very weights."""
    config, facts = read_json(folder / "config.json"), read_json(folder / "facts.json")
    settings = config.get("run") or {}
    evaluation = read_json(folder / "evaluation.json") if evaluated else {}
    further = {name_of(file): read_json(file) for file in sorted(folder.glob(FURTHER))} if evaluated else {}
    titles = stage_titles(settings, evaluation, ())
    sections = [
        f"{HEAD}\n# {settings.get('name') or folder.resolve().name}",
        f"{lead(titles, facts, evaluation)} These are the weights of its stage {titles.get(stage, stage)}.",
        LOAD,
        "## Measured",
        *(_measured(evaluation, titles, "") or ["Not at all: these weights were saved before the run was evaluated."]),
        *[part for name, figures in further.items() for part in _measured(figures, titles, f" of {name}")],
        "## Data",
        *_data(facts),
        PURPOSE,
    ]
    return "\n\n".join(sections) + "\n"


def _measured(evaluation: Mapping[str, Any], titles: Mapping[str, str], where: str) -> list[str]:
    """A table of every driver on the same episodes, and what the figures are."""
    if not evaluation:
        return []
    if of_worlds(evaluation):
        head, *figures = world_rows(evaluation, titles)
        lines = [head, ("---",) * len(head), *figures]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return [NOTE, table, "\n".join(f"- {line}" for line in world_ends(evaluation, titles))]
    titles = BASELINES | dict(titles)
    rows = [f"| driver | {' | '.join(title for _, title in COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, entry in evaluation.items():
        cells = [_cell(entry.get(key) or {}) for key, _ in COLUMNS]
        rows.append(f"| {titles.get(name, name)} | {' | '.join(cells)} |")
    entry = next(iter(evaluation.values()))
    note = (
        f"On {entry.get('scenarios')} test episodes{where} from {entry.get('groups')} groups of recordings that it has "
        f"not seen, each driver the same; dt {entry.get('dt')} s, box scale {entry.get('box_scale')}, seed "
        f"{entry.get('seed')}. In brackets: {entry.get('interval')}. Failure: a collision or a corner off the "
        "permissible lanes, at any step."
    )
    return [note, "\n".join(rows)]


def _cell(figure: Mapping[str, Any]) -> str:
    interval = interval_text(figure)
    return percent(figure.get("value")) + (f" ({interval})" if interval else "")


def _data(facts: Mapping[str, Any]) -> Iterator[str]:
    """Of each dataset: how much, from whom, and its licence; then what is said of the weights' own."""
    if facts.get("maps"):
        unseen, none = ", ".join(facts["unseen"]), "" if facts.get("more") else "No recording. "
        yield f"{none}The maps {', '.join(facts['maps'])}" + (f"; judged on {unseen} too." if unseen else ".")
        if none:
            return
    elif not facts.get("data"):
        yield "The run has not said what it was trained on."
        return
    for name, data in {**({"": facts["data"]} if facts.get("data") else {}), **(facts.get("more") or {})}.items():
        split = (data.get("splits") or {}).get("train") or {}
        count = f"{split.get('admitted')} drives of {split.get('recordings')} recordings"
        source = ", ".join(data.get("sources") or []) or "not named"
        licence = ", ".join(data.get("licences") or []) or "not named"
        yield f"- {name + ': ' if name else ''}{count}. Source: {source}. Licence of the data: {licence}."
    yield "The weights' own licence is for their owner to name."
