"""A conversion that is killed, refused, starved or raced: nothing is done twice, nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures_drawn import install

from drivetrain.data.readers import READERS
from drivetrain.data.store import work_folder
from drivetrain.data.store.converting import Settings, convert
from drivetrain.data.store.shards import read_manifest, verify
from drivetrain.types import InputError

TESTS = Path(__file__).resolve().parents[2]
SCRIPT = """
import resource, sys
from fixtures_drawn import install
from drivetrain.data.store.converting import Settings, convert
from drivetrain.types import InputError
install()  # also in the worker processes, which run this file up to here
if __name__ == "__main__":
    out, count, workers, room = sys.argv[1], *map(int, sys.argv[2:5])
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        convert("drawn", [f"slow:{count}", *sys.argv[5:]], out, Settings(workers=workers))
    except InputError as error:
        sys.exit(str(error))
"""


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setitem(READERS, "drawn", None)
    install()
    monkeypatch.setattr(work_folder, "RECORDS_PER_SHARD", 4)


@pytest.fixture
def log(tmp_path, monkeypatch):
    """What was read so far, by whatever process."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("READ_LOG", str(path))
    return lambda: path.read_text().split()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Stop(BaseException):
    """Ends a conversion from within, as Ctrl-C does."""


def interrupt(out: Path, after: int, sources: list[str]) -> None:
    def stop(done: int, total: int, note: str) -> None:
        if done >= after:
            raise Stop

    with pytest.raises(Stop):
        convert("drawn", sources, out, progress=stop)


def test_an_interrupted_conversion_goes_on_where_it_stopped(tmp_path, log):
    convert("drawn", ["many:11"], tmp_path / "whole")
    before = len(log())
    for after in (2, 4, 8):
        interrupt(tmp_path / "out", after, ["many:11"])
        assert not (tmp_path / "out").exists()
    told = []
    convert("drawn", ["many:11"], tmp_path / "out", progress=lambda *news: told.append(news))
    assert told[0] == (8, 11, "") and len(log()) - before == 11
    assert contents(tmp_path / "out") == contents(tmp_path / "whole") and len(contents(tmp_path / "out")) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out", "whole"]


def test_another_command_is_refused_in_one_line_and_harms_nothing(tmp_path, log):
    interrupt(tmp_path / "out", 5, ["many:6"])
    for change in ({"dt": 0.1}, {"limit": 5}):
        with pytest.raises(InputError, match="repeat its command to continue it, or delete .*out.work") as refusal:
            convert("drawn", ["many:6"], tmp_path / "out", Settings(**change))
        assert "\n" not in str(refusal.value) and next(iter(change)) in str(refusal.value) + "limit"
    convert("drawn", ["many:6"], tmp_path / "out", Settings(split="val", max_failures=0))
    assert {entry.split for entry in verify(tmp_path / "out").recordings} == {"val"} and len(log()) == 6


def test_too_many_failures_stop_early_and_a_larger_number_goes_on(tmp_path, log):
    sources = ["bad", "many:4", "odd", "parked"]
    with pytest.raises(InputError, match=r"\[2 files failed, 1 allowed\]"):
        convert("drawn", sources, tmp_path / "out", Settings(max_failures=1))
    assert "parked" not in log()
    summary = convert("drawn", sources, tmp_path / "out", Settings(max_failures=3))
    assert len(summary.skipped) == 3 and summary.recordings == 4 and len(log()) == 7


def test_a_straddling_group_stops_a_conversion_at_once(tmp_path, log):
    with pytest.raises(InputError, match="group g is in train and test"):
        convert("drawn", ["a|g|train", "b|g|test", "many:4"], tmp_path / "out")
    assert len(log()) == 2


def test_what_is_damaged_or_changed_is_done_again(tmp_path, log):
    sources = [str(tmp_path / f"{name}.car") for name in "abcdef"]
    for source in sources:
        Path(source).write_text(source)
    convert("drawn", sources, tmp_path / "whole")
    before = len(log())
    interrupt(tmp_path / "out", 6, sources)
    work = tmp_path / ".out.work"
    assert sorted(path.name for path in (work / "parts").iterdir()) == ["000000004", "000000005"]
    part = work / "parts" / "000000004"
    part.write_bytes(part.read_bytes()[:-1])
    os.utime(sources[5], ns=(1, 1))
    (shard,) = (work / "dataset").iterdir()
    shard.write_bytes(shard.read_bytes()[:-1])
    convert("drawn", sources, tmp_path / "out")
    assert len(log()) - before == 12 and contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_overwriting_keeps_the_old_dataset_until_the_new_one_is_whole(tmp_path):
    convert("drawn", ["old"], tmp_path / "out")
    with pytest.raises(InputError, match="is not empty"):
        convert("drawn", ["many:3"], tmp_path / "out")
    with pytest.raises(Stop):
        convert(
            "drawn", ["many:3"], tmp_path / "out", Settings(overwrite=True), progress=lambda done, *_: stop_at(done, 2)
        )
    assert [entry.name for entry in verify(tmp_path / "out").recordings] == ["old"]
    convert("drawn", ["many:3"], tmp_path / "out", Settings(overwrite=True))
    assert len(verify(tmp_path / "out").recordings) == 3


def stop_at(done: int, at: int) -> None:
    if done == at:
        raise Stop


def test_two_conversions_of_one_dataset_do_not_meet(tmp_path):
    refused = []

    def meanwhile(done: int, total: int, note: str) -> None:
        with pytest.raises(InputError, match="another process is writing it") as refusal:
            convert("drawn", ["many:3"], tmp_path / "out")
        refused.append(refusal)

    convert("drawn", ["many:3"], tmp_path / "out", progress=meanwhile)
    assert len(refused) >= 4 and len(verify(tmp_path / "out").recordings) == 3


def test_a_work_folder_without_its_beginning_is_no_work(tmp_path):
    work = tmp_path / ".out.work"
    (work / "parts").mkdir(parents=True)
    (work / "parts" / "000000000").write_bytes(b"left by nobody")
    convert("drawn", ["one"], tmp_path / "out")
    assert len(verify(tmp_path / "out").recordings) == 1 and not work.exists()


# --------------------------------------------------------------------------------------------------- in other processes


BROKEN = ("bad", "odd", "parked")


def start(
    tmp_path: Path, out: Path, count: int, workers: int, room: int = 0, others: tuple[str, ...] = ()
) -> subprocess.Popen:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    command = [sys.executable, str(script), str(out), str(count), str(workers), str(room), *others]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_until(happened, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_kill_minus_nine_loses_nothing_that_was_done(tmp_path, log, monkeypatch):
    monkeypatch.setattr(work_folder, "RECORDS_PER_SHARD", 512)  # as in the other processes
    out, parts = tmp_path / "out", tmp_path / ".out.work" / "parts"
    process = start(tmp_path, out, count=11, workers=2, others=BROKEN)
    wait_until(lambda: len(log()) >= 4)
    process.kill()
    process.wait()
    process.stderr.close()  # type: ignore[union-attr]
    wait_until(lambda: not alive(process.pid))  # the workers end with their parent
    kept = {path.name for path in parts.iterdir() if not path.name.startswith(".")}
    assert kept and not out.exists()
    before = log()
    summary = convert("drawn", ["slow:11", *BROKEN], out)
    again = log()[len(before) :]
    assert len(again) == 14 - len(kept)
    assert summary.recordings == 11 and [skipped.file for skipped in summary.skipped] == [*BROKEN]
    convert("drawn", ["slow:11", *BROKEN], tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def alive(session: int) -> bool:
    """Whether any process of a session lives."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            return True
    return False


@pytest.mark.parametrize("room", [4096, 100_000], ids=["part", "shard"])
def test_a_full_disk_is_one_line_and_what_was_done_stays(tmp_path, log, room):
    process = start(tmp_path, tmp_path / "out", count=8, workers=1, room=room)
    said = process.communicate()[1]
    assert process.returncode == 1 and said.count("\n") == 1 and "make room" in said and "too large" in said
    assert not (tmp_path / "out").exists()
    done = len(log()) - (room == 4096)
    convert("drawn", ["slow:8"], tmp_path / "out")
    assert len(verify(tmp_path / "out").recordings) == 8 and len(log()) == 8 + (room == 4096)
    assert done == (0 if room == 4096 else 8)


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again_it_ends_the_same(tmp_path, log, workers, monkeypatch):
    monkeypatch.setattr(work_folder, "RECORDS_PER_SHARD", 512)  # as in the other processes
    out, kills = tmp_path / "out", 0
    while not out.exists():
        process = start(tmp_path, out, count=40, workers=workers, others=BROKEN)
        enough = len(log()) + 6 + 4 * (kills % 3)  # files read, however slow the machine is
        while process.poll() is None and len(log()) < enough:
            time.sleep(0.003)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        wait_until(lambda pid=process.pid: not alive(pid))
    convert("drawn", ["slow:40", *BROKEN], tmp_path / "whole")
    assert kills > 1 and contents(out) == contents(tmp_path / "whole")
    assert len(read_manifest(out).recordings) == 40 and len(read_manifest(out).skipped) == 3
