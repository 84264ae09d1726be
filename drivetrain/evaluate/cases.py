"""A page of the worst cases: recorded drives that may not be driven, cause by cause, to look at."""

from pathlib import Path

import numpy as np

from drivetrain.data.store.causes import TITLES, causes, recorders, recorders_table, worst_cases
from drivetrain.data.store.manifest import Entry, Manifest
from drivetrain.data.store.shards import read_scenarios
from drivetrain.drivers.log import LogDriver
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Drives, evaluate
from drivetrain.evaluate.tables import plain_table
from drivetrain.sim.building import make_bank
from drivetrain.types import MARGINS, Scenario
from drivetrain.view.drawing import Drive, Episode, Scene, page_data
from drivetrain.view.page import build_page, ego_episodes


def cases_page(folder: str | Path, manifest: Manifest, number: int) -> str:
    """The table of causes, and the worst so many cases of each as replays, the route with its corridor below."""
    cases = worst_cases(manifest, number)
    entries = list({entry.name: entry for entry, _, _ in cases}.values())
    scenes, episodes = [], []
    for place, (entry, scenario) in enumerate(zip(entries, read_scenarios(folder, manifest, entries), strict=True)):
        notes = {row: note for case, row, note in cases if case.name == entry.name}
        scenes.append(Scene(entry.name, manifest.dt, scenario.map, scenario.log, next(iter(notes.values()))))
        episodes += _driven(place, entry, scenario, notes, manifest.dt)
    order = {(entry.name, row): rank for rank, (entry, row, _) in enumerate(cases)}
    episodes.sort(key=lambda item: order[item[0]])
    rows = [
        [
            TITLES.get(cause, cause),
            str(row["count"]),
            ", ".join(f"{name} {value:g}" for name, value in row.items() if name != "count"),
        ]
        for cause, row in causes(manifest).items()
    ]
    body = f"<h1>{Path(folder).resolve().name}</h1>" + plain_table(["Vehicles", "Count", ""], rows)
    body += "".join(f"<p>{line}</p>" for line in recorders_table(recorders(manifest)).splitlines())
    body += f"<h2>The worst {number} of each cause</h2>"
    replay = page_data(scenes, [episode for _, episode in episodes], {"log": "Recorded"}) if scenes else None
    return build_page("Causes", replay, body, "report")


def _driven(
    place: int, entry: Entry, scenario: Scenario, notes: dict[int, str], dt: float
) -> list[tuple[tuple[str, int], Episode]]:
    """The episodes of some egos of one recording with what the log drove, by recording and row."""
    marks = np.zeros(len(scenario.egos.track), bool)
    marks[list(notes)] = True
    bank = make_bank([scenario], dt, admitted=[marks])
    drives = evaluate(Env(), bank, LogDriver()).drives
    assert drives is not None
    shown = {episode.tracks[0]: episode for episode in ego_episodes(place, scenario, notes)[1:]}
    found = []
    for row, (ego, track) in enumerate(
        zip(bank.episodes.ego[:, 0].tolist(), bank.episodes.track[:, 0].tolist(), strict=True)
    ):
        episode = shown[track]
        drive = _drive(drives, row, episode.last - episode.first + 1)
        found.append(
            (
                (entry.name, ego),
                Episode(place, episode.tracks, episode.first, episode.last, episode.routes, (drive,), notes[ego]),
            )
        )
    return found


def _drive(drives: Drives, row: int, moments: int) -> Drive:
    margins = np.stack([getattr(drives.events, name)[row, : moments - 1] for name in MARGINS], axis=-1)
    return Drive(
        driver="log",
        position=np.asarray(drives.position)[row, :moments],
        heading=np.asarray(drives.heading)[row, :moments],
        speed=np.asarray(drives.speed)[row, :moments],
        limit=np.zeros((moments, 1)),
        margins=np.concatenate([np.zeros_like(margins[:1]), margins]),
        alive=np.concatenate([np.ones((1, 1), bool), drives.mask[row, : moments - 1]]),
    )
