import json
import re

import pytest

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.store.manifest import EgoEntry, Entry, Manifest
from drivetrain.evaluate.benchmark import compare, summarise
from drivetrain.evaluate.replay import write_replay
from drivetrain.evaluate.report import build_report, describe_data, write_report
from drivetrain.types import InputError


@pytest.fixture
def run(bank, roads, log_run, constant_run, tmp_path):
    """A run's folder in which the log stands for the trained policy, and constant velocity for BC."""
    runs = {"log": log_run, "bc": constant_run, "bc_ppo": log_run}
    figures = {name: summarise(result, name, "drawn", "test", 0.2, 0) for name, result in runs.items()}
    figures["bc_ppo"]["against"] = {"bc": compare(log_run, constant_run)}
    write_replay(tmp_path / "replay.safetensors", bank, roads, runs, ["straight", "curve", "overlap"])
    rows = [{"stage": "bc", "step": e, "loss": 3.0 / (e + 1)} for e in range(3)]
    rows += [{"stage": "bc_ppo", "step": 1000 * u, "val_failure_rate": 0.4 / (u + 1)} for u in range(3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"stage": "bc_p')
    (tmp_path / "evaluation.json").write_text(json.dumps(figures))
    stages = [{"name": "bc", "title": "Cloning"}, {"name": "bc_ppo", "title": "Cloning & <PPO>"}]
    settings = {"name": "quick<start>", "seed": 4, "stages": stages}
    (tmp_path / "config.json").write_text(json.dumps({"run": settings, "device": "cpu"}))
    (tmp_path / "facts.json").write_text(json.dumps({"parameters": 103221}))
    return tmp_path


def text_of(page):
    body = page.split("<body")[1].split('<script type="application/json"')[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_whole_report(run):
    page = write_report(run).read_text(encoding="utf-8")
    text = text_of(page)
    assert "quick&lt;start&gt;" in text and "quick<start>" not in page
    assert "103,221 parameters" in text and "Agent steps of Cloning 2" in text
    assert "by Cloning, then Cloning &amp; &lt;PPO&gt;" in text and "<PPO>" not in page
    assert "50.0 %" in text  # half of the four egos fail with the log: the overlapping pair
    assert "−25.0 pp" in text  # and the one in the bend with constant velocity alone
    assert page.count('<svg class="chart"') == 2  # failure on validation; the loss of cloning
    assert "Cloning 40 %" in text  # where the second stage began
    assert "Failure, less Cloning" in text and "Cloning &amp; &lt;PPO&gt; less Cloning" in text
    assert re.search(r"<tr class='ours'><th scope='row'>Cloning &amp; &lt;PPO&gt;</th>", page)
    data = json.loads(re.findall(r'id="replay-data">(.*?)</script>', page, re.S)[0])
    assert len(data["episodes"]) == 4
    assert data["titles"] == {
        "log": "Log",
        "constant": "Constant velocity",
        "idm": "IDM",
        "bc": "Cloning",
        "bc_ppo": "Cloning & <PPO>",
    }
    assert not (run / "report.html.part").exists()


@pytest.mark.parametrize("names", [("alone",), ("first", "second", "third")])
def test_any_number_of_stages_is_shown_by_their_titles(run, names):
    """The last is ours, compared with those before it; each has its curves."""
    figures = json.loads((run / "evaluation.json").read_text())
    less = figures["bc_ppo"].pop("against")["bc"]
    entries = {"log": figures["log"]} | {name: dict(figures["bc"]) for name in names}
    entries[names[-1]]["against"] = dict.fromkeys(names[:-1], less) | {"log": less}
    (run / "evaluation.json").write_text(json.dumps(entries))
    stages = [{"name": name, "title": name.upper()} for name in names]
    (run / "config.json").write_text(json.dumps({"run": {"name": "many", "seed": 0, "stages": stages}}))
    rows = [{"stage": name, "step": step, "loss": 1.0, "val_failure_rate": 0.5} for name in names for step in range(3)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = build_report(run)
    text = text_of(page)
    assert page.count('<svg class="chart"') == 2 * len(names)
    assert [name in re.findall(r"Failure, less (\S+)", text) for name in map(str.upper, names)] == [
        *(True for _ in names[:-1]),
        False,
    ]
    assert re.findall(r"<tr class='ours'><th scope='row'>(\w+)<", page) == [names[-1].upper()]


def test_a_further_dataset_has_a_table_of_its_own(run):
    figures = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation-bologna.json").write_text(json.dumps({"idm": figures["bc"]}))
    split = {"admitted": 7, "egos": 9, "recordings": 2, "groups": 1}
    more = {"bologna": {"splits": {"train": split}, "left_out": {"collision": 2}, "sources": ["SUMO"]}}
    (run / "facts.json").write_text(json.dumps({"data": {"splits": {"train": split}}, "more": more}))
    text = text_of(build_report(run))
    assert "On bologna, apart" in text and "trained on 7 drives and 7 drives of bologna" in text
    assert "Split train · bologna 7 of 9 egos, 2 recordings, 1 groups" in text


@pytest.mark.parametrize(
    "missing", ["config.json", "facts.json", "metrics.jsonl", "evaluation.json", "replay.safetensors"]
)
def test_a_part_that_is_missing_is_left_out(run, missing):
    (run / missing).unlink()
    text = text_of(build_report(run))
    assert ("Every test drive" in text) == (missing != "replay.safetensors")
    assert ("How it learnt" in text) == (missing != "metrics.jsonl")
    assert ("Against the baselines" in text) == (missing != "evaluation.json")


@pytest.mark.parametrize(
    ("file", "content"),
    [("evaluation.json", "{"), ("config.json", "[]"), ("metrics.jsonl", "{}\nno\n"), ("replay.safetensors", "x")],
)
def test_a_damaged_part_is_named(run, file, content):
    (run / file).write_text(content)
    with pytest.raises(InputError, match=re.escape(file)):
        write_report(run)
    assert not (run / "report.html").exists()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(InputError, match="no run"):
        build_report(tmp_path)


def test_a_dataset_in_numbers():
    def entry(name, split, *causes):
        egos = tuple(EgoEntry(i, 1, 0, 30, cause) for i, cause in enumerate(causes))
        return Entry(name, name, name, split, "drawn", "free", 31, {}, {}, {}, egos)

    capacity = Capacity(agents=1, steps=1, elements=1, stations=1, lanes=1, lines=1, egos=1, route_stations=1)
    recordings = (entry("a", "train", None, None, "collision"), entry("b", "test", None, "off_route", "off_route", ""))
    facts = describe_data(Manifest(1, 0.2, capacity, recordings))
    assert facts["splits"]["train"] == {"recordings": 1, "groups": 1, "egos": 3, "admitted": 2}
    assert facts["splits"]["test"]["admitted"] == 1
    assert facts["left_out"] == {"collision": 1, "off_route": 2, "not checked": 1}
    assert facts["sources"] == ["drawn"] and facts["licences"] == ["free"]
