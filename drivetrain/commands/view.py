"""`drivetrain view`: a run's report, a dataset's scenes, or one recording, in the browser or as pictures."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from drivetrain.atomic import write_atomically
from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.readers import READERS
from drivetrain.data.recordings.recording import Reader
from drivetrain.data.recordings.resampling import resample
from drivetrain.data.recordings.smoothing import smooth
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.shards import read_manifest, read_scenarios
from drivetrain.evaluate.replay import read_replay
from drivetrain.evaluate.report import build_curves, build_report, read_json, stage_titles
from drivetrain.evaluate.tables import BASELINES
from drivetrain.evaluate.through_camera import with_frames
from drivetrain.types import InputError
from drivetrain.view.drawing import Episode, Scene, page_data
from drivetrain.view.film import Shot, drive_of, film, first_shown, still
from drivetrain.view.page import build_page, ego_episodes, scene_page
from drivetrain.view.serve import serve

REPLAY = "replay.safetensors"


def run(words: list[str]) -> None:
    """Build the page and serve or export it."""
    tyro.cli(view, prog="drivetrain view", args=words)


def view(
    what: Annotated[str, tyro.conf.Positional],
    port: int = 0,
    export: str | None = None,
    limit: int = 20,
    dt: float = 0.2,
    drive: int = 0,
    driver: str = "",
    camera: int = 0,
) -> None:
    """Look at a run, a dataset or a recording, on this machine alone, or write it to a file.

    Args:
        what: a run's folder, a dataset's folder, a replay, a page, or a recording
        port: of the page; 0 takes a free one
        export: write to this file instead of serving: .html the page, .svg a run's curves, .gif a drive, .png its end
        limit: show this many recordings of a dataset
        dt: seconds of a step, for a recording
        drive: of a .gif or .png, or first with a camera: its place in the list of the page, failures first, from 0
        driver: of those: log, idm, the name of a stage, …; the run's last by default
        camera: of so many drives the page also shows what a camera on the vehicle would see, a second or more each
    """
    path, kind = Path(what), Path(export or ".html").suffix
    seen = Seen(drive, driver, camera)
    if export is None:
        serve(page_of(path, limit, dt, seen), port)
    elif kind in (".gif", ".png"):
        shot = shot_of(path, limit, dt, drive, driver)
        write_atomically(Path(export), film(shot) if kind == ".gif" else still(shot))
    elif kind == ".svg":
        write_atomically(Path(export), build_curves(path).encode())
    elif kind in (".html", ".htm", ""):
        write_atomically(Path(export), page_of(path, limit, dt, seen).encode())
    else:
        raise InputError(f"{export}: export: nothing is written as {kind} (name a .html, .svg, .gif or .png)")
    if export is not None:
        print(export)


@dataclass(frozen=True)
class Seen:
    """Which drives are also shown as a camera on the vehicle would see them."""

    first: int = 0
    driver: str = ""
    count: int = 0

    def of(self, path: Path, scenes: list[Scene], episodes: list[Episode]) -> list[Episode]:
        """Episodes, those drives with frames. Raises `InputError` where no such driver drove, or fewer drives are."""
        if not self.count:
            return episodes
        driver = driver_of(path, episodes, self.driver)
        drives = sum(bool(episodes[row].tracks) for row in first_shown(episodes, driver))
        if self.count < 0 or not 0 <= self.first < drives:
            raise InputError(f"{path}: camera: {self.count} drives from {self.first} on (there are {drives}, from 0)")
        return with_frames(scenes, episodes, driver, self.first, self.count)


def page_of(path: Path, limit: int, dt: float, seen: Seen = Seen()) -> str:
    """The page of whatever lies at `path`. Raises `InputError` where it is nothing that can be shown."""
    if path.is_dir() and not (path / MANIFEST).is_file():
        _run_folder(path)
        return build_report(path, partial(seen.of, path))
    if path.suffix == ".html" and path.is_file():
        return path.read_text(encoding="utf-8")
    scenes, episodes = shown(path, limit, dt)
    episodes = seen.of(path, scenes, episodes)
    if path.suffix == ".safetensors":
        return build_page(path.name, page_data(scenes, episodes, BASELINES))
    return scene_page(str(path) if path.is_dir() else scenes[0].name, scenes, episodes)


def shot_of(path: Path, limit: int, dt: float, drive: int, driver: str) -> Shot:
    """One drive of whatever lies at `path`, by its place in the list of the page."""
    scenes, episodes = shown(path, limit, dt)
    driver = driver_of(path, episodes, driver)
    order = first_shown(episodes, driver)
    if not 0 <= drive < len(order):
        raise InputError(f"{path}: drive: {drive} (there are {len(order)}, from 0)")
    episode = episodes[order[drive]]
    titles = BASELINES | stage_titles(read_json(path / "config.json").get("run") or {}, {}, ())
    title = " · ".join(filter(None, (titles.get(driver, driver), scenes[episode.scene].name)))
    return Shot(scenes[episode.scene], episode, drive_of(episode, driver), title)


def driver_of(path: Path, episodes: list[Episode], driver: str) -> str:
    """The driver that is asked for, or the last. Raises `InputError` where it has no drive."""
    drivers = list(dict.fromkeys(each.driver for episode in episodes for each in episode.drives))
    if driver and driver not in drivers:
        raise InputError(f"{path}: driver: {driver} has no drive (use one of {', '.join(drivers) or 'none'})")
    return driver or next(reversed(drivers), "")


def shown(path: Path, limit: int, dt: float) -> tuple[list[Scene], list[Episode]]:
    """The scenes and the episodes of whatever lies at `path`."""
    if path.is_dir():
        return dataset_scenes(path, limit) if (path / MANIFEST).is_file() else read_replay(_run_folder(path) / REPLAY)
    if not Path(str(path).partition("#")[0]).is_file():
        raise InputError(f"{path}: no such file or folder (name a run, a dataset or a recording)")
    return read_replay(path) if path.suffix == ".safetensors" else recording_scene(path, dt)


def _run_folder(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise InputError(f"{path}: neither a run nor a dataset (name a folder with config.json or {MANIFEST})")
    return path


def dataset_scenes(folder: Path, limit: int) -> tuple[list[Scene], list[Episode]]:
    """The first recordings of a dataset, each whole and by its egos."""
    manifest = read_manifest(folder)
    entries = manifest.recordings[:limit]
    scenes, episodes = [], []
    for index, (entry, scenario) in enumerate(zip(entries, read_scenarios(folder, manifest, entries), strict=True)):
        notes = {row: ego.cause for row, ego in enumerate(entry.egos) if ego.cause}
        scenes.append(Scene(entry.name, manifest.dt, scenario.map, scenario.log, entry.group))
        episodes += ego_episodes(index, scenario, notes)
    return scenes, episodes


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


def recording_scene(file: Path, dt: float) -> tuple[list[Scene], list[Episode]]:
    """One recording, converted as `data convert` does; `FILE#SCENE` names one of several in a file."""
    reader, item = _reader_of(file)
    recording = resample(smooth(reader.read(item))[0], dt)
    scenario, _ = compile_recording(recording)
    return [Scene(recording.name, dt, scenario.map, scenario.log)], ego_episodes(0, scenario)
