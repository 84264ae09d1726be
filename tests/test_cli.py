"""The command line as a person meets it: exit statuses, one line for bad input, nothing half-written."""

import io
import json
import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import scenes

from drivetrain import __version__, cli
from drivetrain.camera.pinhole import of_field
from drivetrain.camera.render import Renderer
from drivetrain.camera.tiles import Tiling
from drivetrain.cli import COMMANDS, main
from drivetrain.commands import view as view_command
from drivetrain.commands.bench import On, bench
from drivetrain.commands.train import component_options
from drivetrain.commands.view import page_of
from drivetrain.data.store.manifest import EgoEntry, Entry
from drivetrain.data.store.shards import read_manifest, write_dataset
from drivetrain.data.store.vocabulary import read_vocabulary
from drivetrain.evaluate import through_camera
from drivetrain.progress import Lines, clock_face, progress, spoken
from drivetrain.runs.checkpoints import save_checkpoint
from drivetrain.runs.run import Run, Stage, open_run
from drivetrain.runs.trained import checkpoint_of
from drivetrain.types import AgentKind, InputError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two hand-drawn recordings whose egos are admitted."""
    folder = tmp_path_factory.mktemp("data") / "drawn"
    results = []
    for name in ("one", "two"):
        scenario = scenes.scenario(scenes.straight_road())
        egos = tuple(
            EgoEntry(int(track), 1, int(first), int(last), None)
            for track, first, last in zip(
                np.asarray(scenario.egos.track),
                np.asarray(scenario.egos.first),
                np.asarray(scenario.egos.last),
                strict=True,
            )
            if track >= 0
        )
        entry = Entry(name, f"{name}.xml", name, "test", "drawn", "none", int(scenario.log.steps), {}, {}, {}, egos)
        results.append((entry, scenario))
    write_dataset(folder, results, 0.2)
    return folder


def one_line(capsys) -> str:
    """What a failed command said: a single line on stderr, nothing like a traceback."""
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said
    return said


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"drivetrain {command}" in text for command in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"drivetrain {__version__}\n"


def test_nothing_asked_is_a_mistake(capsys):
    assert main([]) == 2
    assert "train" in capsys.readouterr().err


def test_unknown_command_names_the_known(capsys):
    assert main(["trian"]) == 2
    assert "evaluate" in one_line(capsys)


def test_help_needs_no_jax():
    program = "import sys; from drivetrain.cli import main; main(['--help']); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        ["data", "convert"],
        ["data", "mine"],
        ["data", "info"],
        ["data", "verify"],
        ["evaluate"],
        ["export"],
        ["status"],
        ["view"],
        ["bench"],
    ],
)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert "options" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["data", "info", "nowhere"], "nowhere/manifest.json"),
        (["data", "mine", "nowhere", "--out", "out", "--hours", "1"], "nowhere/manifest.json"),
        (["data", "mine", "nowhere", "--out", "out"], "--clips"),
        (["data", "admit", "nowhere"], "nowhere/manifest.json"),
        (["data", "vocabulary", "nowhere", "--out", "out"], "nowhere/manifest.json"),
        (["data", "verify", "nowhere"], "nowhere/manifest.json"),
        (["data", "convert", "commonroad", "nowhere", "--out", "out"], "nowhere"),
        (["data", "convert", "betamax", "nowhere", "--out", "out"], "betamax"),
        (["train", "nothing"], "nothing"),
        (["train", "nothing.py:mine"], "nothing.py: no such file"),
        (["train", "quickstart", "--head", "jiont"], "jiont: no such head"),
        (["evaluate", "idm", "--data", "nowhere", "--recipe", "nothing.py:mine"], "nothing.py: no such file"),
        (["train", "quickstart", "--resume", "nowhere"], "nowhere"),
        (["train", "quickstart", "--resume", "a", "--out", "b"], "resume"),
        (["train", "quickstart", "--resume", "a", "--seed", "3"], "resume"),
        (["evaluate", "nobody", "--data", "nowhere"], "nobody"),
        (["evaluate", "idm", "--data", "nowhere"], "nowhere"),
        (["export", "nobody", "--out", "out"], "nobody"),
        (["status", "nowhere"], "nowhere/config.json"),
        (["status", "nowhere", "--recipe", "nothing.py:mine"], "nothing.py: no such file"),
        (["view", "nowhere"], "nowhere"),
        (["bench", "sim", "--data", "nowhere"], "nowhere"),
    ],
    ids=" ".join,
)
def test_bad_input_gives_one_line_that_names_it(words, named, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert named in one_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_vocabulary_is_written_and_its_coverage_shown(dataset, tmp_path, capsys, monkeypatch):
    along = np.linspace(0.0, 20.0, 40)[:, None] * np.linspace(0.2, 1.0, 5)
    motions = np.stack([along, 0.0 * along, 1.0 + 0.0 * along, 0.0 * along], axis=-1).astype(np.float32)
    monkeypatch.setattr("drivetrain.data.store.vocabulary.recorded_motions", lambda *_: {AgentKind.CAR: motions})
    out, page = tmp_path / "vocabulary", tmp_path / "curves.html"
    words = [
        "data",
        "vocabulary",
        str(dataset),
        "--out",
        str(out),
        "--entries",
        "8",
        "--seed",
        "1",
        "--page",
        str(page),
    ]
    assert main(words) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows[1:-1]] == [["all", "2"], ["all", "4"], ["all", "8"]]
    errors = [float(row[5]) for row in rows[1:-1]]
    assert errors == sorted(errors, reverse=True) and 0.0 < errors[-1] < 1.5
    assert read_vocabulary(out).motions.shape == (1, 8, 5, 4)
    assert page.read_text().count("<polyline") == 1


def test_an_interrupt_says_how_to_continue(capsys, monkeypatch):
    def interrupt(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("drivetrain.data.store.shards.verify", interrupt)
    assert main(["data", "verify", "anything"]) == 130
    assert "--resume" in one_line(capsys)


def test_a_full_disk_is_said_in_one_line(capsys, monkeypatch):
    def fill(folder):
        raise OSError(28, "No space left on device", "shard")

    monkeypatch.setattr("drivetrain.data.store.shards.verify", fill)
    assert main(["data", "verify", "anything"]) == 1
    assert "No space left" in one_line(capsys)


def test_info_as_json(dataset, capsys):
    assert main(["data", "info", str(dataset), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["scenes"] == 2 and figures["recorders"] == {}
    assert figures["admitted"] == sum(len(entry.egos) for entry in read_manifest(dataset).recordings)


def test_info_in_words(dataset, capsys):
    assert main(["data", "info", str(dataset)]) == 0
    assert "admitted by split  train 0, val 0, test" in capsys.readouterr().out


def test_verify_names_a_flipped_bit(dataset, capsys, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in dataset.iterdir():
        data = bytearray(file.read_bytes())
        if file.name != "manifest.json":
            data[len(data) // 3] ^= 1
        (copy / file.name).write_bytes(data)
    assert main(["data", "verify", str(dataset)]) == 0
    capsys.readouterr()
    assert main(["data", "verify", str(copy)]) == 1
    assert str(copy) in one_line(capsys)


def test_evaluate_writes_the_figures(dataset, capsys, tmp_path):
    file = tmp_path / "constant.json"
    assert main(["evaluate", "constant", "--data", str(dataset), "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert figures["policy"] == "constant" and figures["data"] == str(dataset) and figures["split"] == "test"
    assert set(figures["failure_rate"]) == {"value", "low", "high", "n"}
    assert "failure rate" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["constant.json"]


def test_evaluate_takes_the_whole_dataset(dataset, capsys, tmp_path):
    """Both recordings are in one split: the others are empty, and all of them are the same as that one."""
    figures = []
    for split in ("test", "all"):
        file = tmp_path / f"{split}.json"
        assert main(["evaluate", "constant", "--data", str(dataset), "--split", split, "--json", str(file)]) == 0
        figures.append(json.loads(file.read_text()))
    for each, split in zip(figures, ("test", "all"), strict=True):
        assert each.pop("split") == split == each["in_lanes"].pop("split")
    assert figures[0] == figures[1]
    capsys.readouterr()
    assert main(["evaluate", "constant", "--data", str(dataset), "--split", "val"]) == 1
    assert "or all" in one_line(capsys)


def test_view_exports_a_page_that_asks_for_nothing(dataset, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["view", str(dataset), "--export", str(page)]) == 0
    text = page.read_text()
    assert "<canvas" in text
    assert not re.search(r"""(src|href|url|import|fetch|open)\W{1,4}https?:""", text)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_view_exports_pictures(dataset, tmp_path, capsys):
    pytest.importorskip("PIL", reason="pillow is not installed")
    for name, start in (("drive.png", b"\x89PNG"), ("drive.gif", b"GIF89a")):
        assert main(["view", str(dataset), "--export", str(tmp_path / name), "--drive", "1"]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
    run = tmp_path / "run"
    open_run(Run(name="two", stages=(Stage(name="first", title="First"),)), run, resume=False)
    (run / "metrics.jsonl").write_text('{"stage": "first", "step": 1, "loss": 2.0}\n')
    assert main(["view", str(run), "--export", str(tmp_path / "run.svg")]) == 0
    assert "First: loss" in (tmp_path / "run.svg").read_text()
    capsys.readouterr()
    before = set(tmp_path.iterdir())
    for words, named in (
        ([str(dataset), "--export", str(tmp_path / "drive.mp4")], ".mp4"),
        ([str(dataset), "--export", str(tmp_path / "other.gif"), "--drive", "99"], "drive: 99"),
        ([str(dataset), "--export", str(tmp_path / "other.gif"), "--driver", "bc"], "driver: bc"),
        ([str(dataset), "--export", str(tmp_path / "other.svg")], "metrics.jsonl"),
        ([str(run), "--export", str(tmp_path / "other.png")], "replay.safetensors"),
    ):
        assert main(["view", *words]) == 1
        assert named in one_line(capsys)
    assert set(tmp_path.iterdir()) == before


def test_view_shows_what_a_camera_would_see(dataset, tmp_path, capsys, monkeypatch):
    pytest.importorskip("PIL", reason="pillow is not installed")
    small = partial(through_camera.with_frames, renderer=Renderer(of_field(32, 24), Tiling(things=2), users=2))
    monkeypatch.setattr(view_command, "with_frames", small)
    page = tmp_path / "page.html"
    assert main(["view", str(dataset), "--export", str(page), "--limit", "1", "--camera", "1"]) == 0
    found = re.search(r'<script type="application/json" id="replay-data">(.*?)</script>', page.read_text(), re.S)
    assert found
    episodes = json.loads(found.group(1))["episodes"]
    counts = [len(one["frames"].get("", ())) for one in episodes]
    assert sorted(counts)[:-1] == [0] * (len(counts) - 1)
    shown = episodes[counts.index(max(counts))]
    assert max(counts) == shown["last"] - shown["first"] + 1 and shown["tracks"]
    capsys.readouterr()
    assert main(["view", str(dataset), "--export", str(page), "--camera", "1", "--drive", "999"]) == 1
    assert "camera: 1 drives from 999 on" in one_line(capsys)


def test_view_refuses_a_folder_that_is_nothing(tmp_path):
    with pytest.raises(InputError, match="neither a run nor a dataset"):
        page_of(tmp_path, 1, 0.2)


def test_compiled_programs_stay_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cli.keep_compiled_programs()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "drivetrain" / "jax")


def test_a_component_behind_any_callable_offers_its_fields():
    import dataclasses

    import tyro

    from drivetrain.env import Env
    from drivetrain.reward import Reward

    chosen = tyro.cli(Env, default=Env(), args=["--reward.collision", "3"], registry=component_options())
    assert chosen == dataclasses.replace(Env(), reward=dataclasses.replace(Reward(), collision=3.0))


def test_the_best_trained_whole_checkpoint_is_evaluated(tmp_path, capsys):
    tree, stages = {"x": np.zeros(3, np.float32)}, (Stage(name="first"), Stage(name="last"))
    run = tmp_path / "run"
    open_run(Run(name="two", stages=stages), run, resume=False)
    with pytest.raises(InputError, match="none is whole"):
        checkpoint_of(run)
    earlier = save_checkpoint(run / "checkpoints" / "first", 9, tree, {})
    assert checkpoint_of(run) == earlier
    older = save_checkpoint(run / "checkpoints" / "last", 1, tree, {})
    newer = save_checkpoint(run / "checkpoints" / "last", 2, tree, {})
    assert checkpoint_of(run) == newer and checkpoint_of(older) == older
    newer.write_bytes(newer.read_bytes()[:-1] + b"!")
    assert checkpoint_of(run) == older
    assert str(newer) in capsys.readouterr().err
    with pytest.raises(InputError, match=r"config\.json"):
        checkpoint_of(run / "checkpoints")


def test_bench_measures_reading(dataset, tmp_path, capsys):
    file = tmp_path / "bench.json"
    bench(("load",), On(str(dataset), (1,)), seconds=0.0, as_json=str(file))
    row, *others = json.loads(file.read_text())["cases"]
    assert row["case"] == "load" and [row["scenes"], *(other["scenes"] for other in others)] == [1, 2, 4]
    assert row["rate"] == pytest.approx(2 / (row["milliseconds"] / 1e3))
    assert "load" in capsys.readouterr().out
    with pytest.raises(InputError, match="cores: 9999"):
        bench(("load",), On(str(dataset), (1,)), seconds=0.0, cores=9999)


# ------------------------------------------------------------------------------------------------------------ progress


def test_plain_lines_give_rate_and_time_left():
    now = [100.0]
    stream = io.StringIO()
    show = Lines("convert", 40, "files", 0, stream, clock=lambda: now[0])
    now[0] = 110.0
    show(20, "a.xml")
    now[0] = 111.0
    show(22, "too soon")
    now[0] = 120.0
    show(40, "b.xml")
    assert stream.getvalue().splitlines() == [
        "convert: 20/40 files · 2 files/s · 0:10 left · a.xml",
        "convert: 40/40 files · 2 files/s · 0:00 left · b.xml",
    ]


def test_what_was_done_before_does_not_count_for_the_rate():
    now = [0.0]
    stream = io.StringIO()
    show = Lines("improve", 100, "steps", 50, stream, clock=lambda: now[0])
    now[0] = 10.0
    show(60, "")
    assert stream.getvalue() == "improve: 60/100 steps · 1 steps/s · 0:40 left\n"


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with progress("clone", total=2, unit="epochs", stream=stream) as show:
        show(1, "loss [3]")
        show(2, "loss [2]")
    assert "2/2" in stream.getvalue() and "loss [2]" in stream.getvalue()


@pytest.mark.parametrize(("seconds", "face"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3725, "1:02:05")])
def test_clock_face(seconds, face):
    assert clock_face(seconds) == face


@pytest.mark.parametrize(("rate", "words"), [(0.1374, "0.137"), (12.34, "12.3"), (123456.0, "123,456")])
def test_rates_have_three_digits(rate, words):
    assert spoken(rate) == words
