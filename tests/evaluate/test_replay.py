import numpy as np
import pytest

from drivetrain.evaluate.replay import read_replay, write_replay
from drivetrain.rollout import Considered
from drivetrain.types import InputError, replace

NAMES, SITES = ("straight", "curve", "overlap"), ("a", "b", "a")


@pytest.fixture
def file(bank, roads, log_run, constant_run, tmp_path):
    path = tmp_path / "replay.safetensors"
    write_replay(path, bank, roads, {"log": log_run, "constant": constant_run}, NAMES, SITES)
    return path


def test_what_was_written_is_read(bank, scenarios, file, constant_run, rows):
    scenes, episodes = read_replay(file)
    assert [(scene.name, scene.site) for scene in scenes] == list(zip(NAMES, SITES, strict=True))
    assert len(episodes) == len(bank.episodes.map)
    assert [path.name for path in file.parent.iterdir()] == ["replay.safetensors"]
    (row,) = rows["curve"]
    episode = episodes[row]
    assert [drive.driver for drive in episode.drives] == ["log", "constant"]
    route = scenarios[episode.scene].egos.route
    np.testing.assert_array_equal(episode.routes[0].stations, route.stations[int(bank.episodes.ego[row, 0])])
    constant = episode.drives[1]
    moments = episode.last - episode.first + 1
    assert constant.position.shape == (moments, 1, 2) and constant.margins.shape == (moments, 1, 5)
    assert (constant.margins[1:, 0, 1] < 0).any() == constant_run.outcome.happened["off_route"][row, 0]
    assert not (episode.drives[0].margins[1:] < 0).any()
    assert np.allclose(constant.limit, 15.0)
    ratio = constant_run.outcome.progress[row, 0] / constant_run.outcome.log_distance[row, 0]
    assert constant.progress_ratio == pytest.approx(float(ratio), rel=1e-5)


def test_what_was_considered_is_read_for_who_showed_it(bank, roads, log_run, constant_run, rows, tmp_path):
    moments, agents = constant_run.drives.mask.shape[1:]
    draw = np.random.default_rng(0)
    shown = Considered(
        draw.normal(size=(len(bank.episodes.map), moments, agents, 3, 5, 2)).astype(np.float32),
        draw.uniform(size=(len(bank.episodes.map), moments, agents, 3)).astype(np.float32),
    )
    path = tmp_path / "replay.safetensors"
    showing = replace(constant_run, drives=replace(constant_run.drives, considered=shown))
    write_replay(path, bank, roads, {"log": log_run, "constant": showing}, NAMES, SITES)
    (row,) = rows["curve"]
    log, constant = read_replay(path)[1][row].drives
    assert log.ahead is None and log.likely is None
    own = len(constant.position) - 1
    np.testing.assert_array_equal(constant.ahead[:, 0], shown.path[row, :own, 0])
    np.testing.assert_array_equal(constant.likely[:, 0], shown.probability[row, :own, 0])


def test_drivers_must_have_driven_the_same(bank, roads, log_run, constant_run, tmp_path):
    part = type(log_run)(log_run.episode[:1], log_run.source[:1], log_run.outcome, log_run.drives)
    with pytest.raises(InputError, match="drivers differ"):
        write_replay(tmp_path / "replay.safetensors", bank, roads, {"log": part, "constant": constant_run}, NAMES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 7, 200, 5000])
def test_a_file_cut_short_is_named(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"replay\.safetensors: .*evaluate again"):
        read_replay(file)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="evaluate again"):
        read_replay(tmp_path / "none.safetensors")
