"""`drivetrain view`: a run's report, a dataset's scenes, or one recording, in the browser."""

import os
from pathlib import Path
from typing import Annotated

import tyro

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.readers import READERS
from drivetrain.data.recordings.recording import Reader
from drivetrain.data.recordings.resampling import resample
from drivetrain.data.recordings.smoothing import smooth
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.shards import read_manifest, read_scenarios
from drivetrain.evaluate.replay import read_replay
from drivetrain.evaluate.report import build_report
from drivetrain.evaluate.tables import BASELINES
from drivetrain.types import InputError
from drivetrain.view.drawing import Scene, page_data
from drivetrain.view.page import build_page, ego_episodes, scene_page
from drivetrain.view.serve import serve


def run(words: list[str]) -> None:
    """Build the page and serve or export it."""
    tyro.cli(view, prog="drivetrain view", args=words)


def view(
    what: Annotated[str, tyro.conf.Positional],
    port: int = 0,
    export: str | None = None,
    limit: int = 20,
    dt: float = 0.2,
) -> None:
    """Look at a run, a dataset or a recording, on this machine alone.

    Args:
        what: a run's folder, a dataset's folder, a replay, a page, or a recording
        port: of the page; 0 takes a free one
        export: write the page to this file instead of serving it
        limit: show this many recordings of a dataset
        dt: seconds of a step, for a recording
    """
    page = page_of(Path(what), limit, dt)
    if export is None:
        serve(page, port)
        return
    beside = Path(export).with_name(f".{Path(export).name}.part")
    beside.write_text(page, encoding="utf-8")
    os.replace(beside, export)
    print(export)


def page_of(path: Path, limit: int, dt: float) -> str:
    """The page of whatever lies at `path`. Raises `InputError` where it is nothing that can be shown."""
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return dataset_page(path, limit)
        if (path / "config.json").is_file():
            return build_report(path)
        raise InputError(f"{path}: neither a run nor a dataset (name a folder with config.json or {MANIFEST})")
    if not Path(str(path).partition("#")[0]).is_file():
        raise InputError(f"{path}: no such file or folder (name a run, a dataset or a recording)")
    if path.suffix == ".html":
        return path.read_text(encoding="utf-8")
    if path.suffix == ".safetensors":
        return build_page(path.name, page_data(*read_replay(path), BASELINES))
    return recording_page(path, dt)


def dataset_page(folder: Path, limit: int) -> str:
    """The first recordings of a dataset, each whole and by its egos."""
    manifest = read_manifest(folder)
    entries = manifest.recordings[:limit]
    scenes, episodes = [], []
    for index, (entry, scenario) in enumerate(zip(entries, read_scenarios(folder, manifest, entries), strict=True)):
        notes = {row: ego.cause for row, ego in enumerate(entry.egos) if ego.cause}
        scenes.append(Scene(entry.name, manifest.dt, scenario.map, scenario.log, entry.group))
        episodes += ego_episodes(index, scenario, notes)
    return scene_page(str(folder), scenes, episodes)


def _reader_of(file: Path) -> tuple[Reader, str]:
    """The reader that would find a file in its folder, and the file as it names it; of several scenes the first."""
    name, _, scene = str(file).partition("#")
    for reader in READERS.values():
        try:
            items_of = reader.find(str(Path(name).parent))
        except InputError:  # of another file in the folder
            continue
        items = [item for item in items_of if item.partition("#")[0] == name]
        if items:
            return reader, str(file) if scene else items[0]
    raise InputError(f"{file}: no reader takes it (name a file of {', '.join(READERS)})")


def recording_page(file: Path, dt: float) -> str:
    """One recording, converted as `data convert` does; `FILE#SCENE` names one of several in a file."""
    reader, item = _reader_of(file)
    recording = resample(smooth(reader.read(item))[0], dt)
    scenario, _ = compile_recording(recording)
    return scene_page(
        recording.name, [Scene(recording.name, dt, scenario.map, scenario.log)], ego_episodes(0, scenario)
    )
