"""`report.html` of a run: what was trained on what, how it went, how it fares, and every test drive to replay.

Reads, in a run's folder, what is there: `config.json`, `facts.json`, `metrics.jsonl`, `evaluation.json`, the
`evaluation-NAME.json` of further datasets, `replay.safetensors`. A part that is missing is left out of the page.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from drivetrain.atomic import write_atomically
from drivetrain.data.recordings.recording import SPLITS
from drivetrain.data.store.manifest import Manifest
from drivetrain.evaluate.curves import charts, is_number
from drivetrain.evaluate.replay import read_replay
from drivetrain.evaluate.tables import BASELINES, baseline_table, difference_table, facts_list, interval_text, percent
from drivetrain.evaluate.world_tables import of_worlds, world_table, world_tiles
from drivetrain.types import InputError
from drivetrain.view.drawing import Episode, Scene, page_data
from drivetrain.view.page import build_page
from drivetrain.view.plotting import card, picture, short

FURTHER = "evaluation-*.json"


IN_LANES = "The egos whose recorded drive keeps to the lanes of its route, apart"
"""They are what was judged before routes had corridors."""


def describe_data(manifest: Manifest) -> dict[str, Any]:
    """What a report says of a dataset, for `facts.json`: counts by split, and egos left out by cause."""
    causes: dict[str, int] = {}
    splits: dict[str, dict[str, int]] = {}
    for name in SPLITS:
        entries = [entry for entry in manifest.recordings if entry.split == name]
        egos = [ego for entry in entries for ego in entry.egos]
        splits[name] = {
            "recordings": len(entries),
            "groups": len({entry.group for entry in entries}),
            "egos": len(egos),
            "admitted": sum(ego.cause is None for ego in egos),
        }
        for ego in egos:
            if ego.cause is not None:
                causes[ego.cause or "not checked"] = causes.get(ego.cause or "not checked", 0) + 1
    sources = sorted({entry.source for entry in manifest.recordings if entry.source})
    licences = sorted({entry.licence for entry in manifest.recordings if entry.licence})
    return {"dt": manifest.dt, "splits": splits, "left_out": causes, "sources": sources, "licences": licences}


def write_report(run: str | Path) -> Path:
    """Write `report.html` into a run's folder, whole or not at all, and return its path."""
    file = Path(run) / "report.html"
    write_atomically(file, build_report(run).encode())
    return file


def build_report(run: str | Path, more: Callable[[list[Scene], list[Episode]], list[Episode]] | None = None) -> str:
    """The page of a run. `more` adds to the episodes of its replay what a page may show with them.

    Raises `InputError` where the folder holds none of a run's files, or a damaged one.
    """
    run = Path(run)
    config, facts = read_json(run / "config.json"), read_json(run / "facts.json")
    evaluation, metrics = read_json(run / "evaluation.json"), _read_lines(run / "metrics.jsonl")
    settings = config.get("run") or {}
    stages = stage_titles(settings, evaluation, metrics)
    titles, ours = BASELINES | stages, next(reversed(stages), "")
    replay, file = None, run / "replay.safetensors"
    if file.exists():
        scenes, episodes = read_replay(file)
        replay = page_data(scenes, more(scenes, episodes) if more else episodes, titles)
    if not (config or evaluation or metrics or replay):
        raise InputError(f"{run}: no run: none of its files is there (give the folder that training wrote)")
    name = str(settings.get("name") or run.resolve().name)
    further = [(read_json(file), f"On {name_of(file)}, apart") for file in sorted(run.glob(FURTHER))]
    sections = [
        f"<h1>{escape(name)}</h1><p class='lead'>{escape(lead(stages, facts, evaluation))}</p>",
        _tiles(evaluation, stages),
        _curves(metrics, stages),
        *_measured(evaluation, titles, ours),
        *[baseline_table(figures, titles, ours, title) for figures, title in further],
        _trained(config, facts, evaluation.get(ours) or next(iter(evaluation.values()), {}), metrics, stages),
    ]
    if replay is not None:
        shown = "Every test drive", "Failures first. Dashed: where the log has the ego."
        if of_worlds(evaluation):
            shown = "One of these worlds", "Every life in it as a drive, failures first; the ring is its next goal."
        sections.append(f"<h2>{shown[0]}</h2><p>{shown[1]}</p>")
    return build_page(f"{name} · report", replay, "".join(sections), "report")


def _measured(evaluation: Mapping[str, Any], titles: Mapping[str, str], ours: str) -> list[str]:
    """The tables of what was measured."""
    if of_worlds(evaluation):
        return [world_table(evaluation, titles)]
    return [
        baseline_table(evaluation, titles, ours),
        difference_table(evaluation, titles),
        baseline_table(in_lanes_of(evaluation), titles, ours, IN_LANES),
    ]


def build_curves(run: str | Path) -> str:
    """The curves of a run as one SVG. Raises `InputError` where it has measured nothing yet."""
    run = Path(run)
    settings, metrics = read_json(run / "config.json").get("run") or {}, _read_lines(run / "metrics.jsonl")
    shown = charts(metrics, stage_titles(settings, read_json(run / "evaluation.json"), metrics))
    if not any(chart.series for chart in shown):
        raise InputError(f"{run / 'metrics.jsonl'}: no measurement (train first)")
    return picture(shown)


def in_lanes_of(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of an evaluation on egos that keep to the lanes of their routes, where there are others too."""
    parts = {name: entry["in_lanes"] for name, entry in evaluation.items() if "in_lanes" in entry}
    return {name: part for name, part in parts.items() if part["scenarios"] < evaluation[name]["scenarios"]}


def stage_titles(settings: Mapping, evaluation: Mapping, metrics: Sequence[Mapping]) -> dict[str, str]:
    """Titles of the run's stages by their names, in their order; without its configuration, the names that it left."""
    if settings.get("stages"):
        return {str(stage["name"]): str(stage["title"]) for stage in settings["stages"]}
    names = [str(row["stage"]) for row in metrics if "stage" in row] + [str(name) for name in evaluation]
    return {name: name for name in names if name not in BASELINES}


def lead(stages: Mapping[str, str], facts: Mapping, evaluation: Mapping) -> str:
    """What was trained on what, in one sentence of plain text."""
    size = f" of {short(facts['parameters'])} parameters" if facts.get("parameters") else ""
    train = (facts.get("data") or {}).get("splits", {}).get("train", {})
    seen = f" on {train['admitted']} drives" if train.get("admitted") else ""
    seen += f" on {', '.join(facts['maps'])}" if facts.get("maps") else ""
    for name, data in (facts.get("more") or {}).items():
        seen += f" and {data['splits']['train']['admitted']} drives of {name}"
    seen += ", without a recording" if facts.get("maps") and not facts.get("more") else ""
    by = f" by {', then '.join(stages.values())}" if stages else ""
    tested = next((entry.get("scenarios") for entry in evaluation.values()), None)
    end = f", tested on {tested} others it has not seen" if tested else ""
    return f"A driving policy{size}, trained{seen}{by}{end}."


def _tiles(evaluation: Mapping[str, Any], stages: dict[str, str]) -> str:
    """The last stage's figures, and how much less it fails than those before it and than the baselines."""
    trained = [name for name in stages if name in evaluation]
    if not trained:
        return ""
    if of_worlds(evaluation):
        return "<div class='tiles'>" + "".join(_tile(*tile) for tile in world_tiles(evaluation)) + "</div>"
    ours, titles, tiles = evaluation[trained[-1]], BASELINES | stages, []
    for key, title in (("failure_rate", "Failure rate"), ("progress_ratio", "Progress, share of the log's")):
        figure = ours.get(key) or {}
        tiles.append((title, percent(figure.get("value")), interval_text(figure), ""))
    for other in (*trained[:-1], "idm", "constant"):
        figure = ((ours.get("against") or {}).get(other) or {}).get("failure_rate")
        if figure and figure.get("value") is not None:
            tone = "good" if figure["high"] < 0 else "bad" if figure["low"] > 0 else ""
            text = percent(figure["value"], True), interval_text(figure, True)
            tiles.append((f"Failure, less {titles[other]}", *text, tone))
    return "<div class='tiles'>" + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(title: str, value: str, small: str, tone: str) -> str:
    inner = f"<div class='k'>{escape(title)}</div><div class='v {tone}'>{escape(value)}</div>"
    return f"<div class='tile'>{inner}<div class='s'>{escape(small)}</div></div>"


def _curves(metrics: Sequence[Mapping], stages: Mapping[str, str]) -> str:
    """Each stage's curves. A dashed line says where it began: at what the stage before left."""
    shown = "".join(card(chart) for chart in charts(metrics, stages))
    if not shown:
        return ""
    return f"<h2>How it learnt</h2><p>Dashed: what the stage before left.</p><div class='charts'>{shown}</div>"


# ------------------------------------------------------------------------------------------------------ what on what


def _trained(
    config: Mapping, facts: Mapping, measured: Mapping, metrics: Sequence[Mapping], stages: Mapping[str, str]
) -> str:
    pairs = _described(facts.get("data") or {}, "")
    for name, data in (facts.get("more") or {}).items():
        pairs += _described(data, f" · {name}")
    pairs += [("Time step", f"{measured['dt']} s" if "dt" in measured else "")]
    pairs += [("Box scale", measured.get("box_scale"))]
    pairs += [("Policy", f"{facts['parameters']:,} parameters" if facts.get("parameters") else "")]
    pairs += [("Seed", (config.get("run") or {}).get("seed", measured.get("seed")))]
    for name, title in stages.items():
        steps = [row["step"] for row in metrics if row.get("stage") == name and is_number(row.get("step"))]
        pairs += [(f"Agent steps of {title}", f"{max(steps):,}" if steps else "")]
    pairs += [("Device", config.get("device")), ("Versions", _versions(config.get("versions") or {}))]
    return "<h2>What was trained on what</h2>" + facts_list(pairs)


def _described(data: Mapping, where: str) -> list[tuple[str, object]]:
    """What a dataset holds, line by line."""
    pairs: list[tuple[str, object]] = []
    for name, split in (data.get("splits") or {}).items():
        egos = f"{split.get('admitted')} of {split.get('egos')} egos"
        counts = f"{egos}, {split.get('recordings')} recordings, {split.get('groups')} groups"
        pairs.append((f"Split {name}{where}", counts))
    for cause, count in (data.get("left_out") or {}).items():
        pairs.append((f"Left out: {cause.replace('_', ' ')}{where}", f"{count} egos"))
    pairs += [(f"{key.capitalize()}{where}", ", ".join(data.get(key) or [])) for key in ("sources", "licences")]
    return pairs


def name_of(file: Path) -> str:
    """The dataset of an `evaluation-NAME.json`."""
    return file.stem.partition("-")[2]


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {versions[name]}" for name in ("drivetrain", "jax", "python") if name in versions)


def read_json(file: Path) -> dict[str, Any]:
    """An object of a run's folder; empty where the file is not there. Raises `InputError` on a damaged one."""
    if not file.exists():
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: not JSON: {error} (write it again)") from None
    if not isinstance(value, dict):
        raise InputError(f"{file}: expected an object, found {type(value).__name__} (write it again)")
    return value


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """Whole lines of a journal; a last line that was cut short is left out."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{file}: line {number}: not JSON: {error} (remove the line)") from None
        rows += [row] if isinstance(row, dict) else []
    return rows
