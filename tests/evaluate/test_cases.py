import json
import re

import scenes
from fixtures_runs import silent

from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import read_manifest, write_dataset
from drivetrain.evaluate.admission import admit_dataset
from drivetrain.evaluate.cases import cases_page


def test_the_page_shows_the_worst_of_each_cause_with_where_it_happened(tmp_path):
    agents = (scenes.along_x(1.75, 20.0, 8.0), scenes.along_x(-0.6, 60.0, 8.0), scenes.along_x(-1.2, 120.0, 8.0))
    drawn = scenes.straight_road(lanes=2, length=400.0, agents=agents, steps=30)
    egos = tuple(EgoEntry(100 + row, 1, 0, 29) for row in range(3))
    entry = Entry("road", "road.py", "road", "train", "drawn", "CC0", 30, {"car": 3}, {}, {}, egos, recorder=101)
    write_dataset(tmp_path / "data", [(entry, scenes.scenario(drawn))], 0.2)
    whole = admit_dataset(tmp_path / "data", silent)
    assert whole.table()["off_route"] == 2
    manifest = read_manifest(tmp_path / "data")
    assert [round(ego.worst.off_route, 2) for ego in manifest.recordings[0].egos] == [1.25, -1.1, -1.7]
    page = cases_page(tmp_path / "data", manifest, 1)
    assert "its own log leaves its route" in page and "<h2>The worst 1 of each cause</h2>" in page
    assert "<p>recorded ego vehicles: 1 drives, off route 1 (100.0 %)" in page
    (data,) = (
        json.loads(text) for text in re.findall(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page)
    )
    notes = [episode["note"] for episode in data["episodes"]]
    assert notes == ["off_road by 2.20 m"] or all("by" in note for note in notes)
    assert all(set(episode["drives"]) == {"log"} for episode in data["episodes"])
    assert len(cases_page(tmp_path / "data", manifest, 5)) > len(page)
