"""Plans, and whole simulations where SUMO is installed."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from drivetrain.commands import data
from drivetrain.data.generating.sumo import generator as sumo
from drivetrain.data.generating.sumo.demand import Extra
from drivetrain.data.generating.sumo.generator import Inputs, Job, Plan, generate, settled
from drivetrain.data.readers import recorded
from drivetrain.types import AgentKind, ControlKind, InputError, LightState

BOLOGNA = Path(__file__).resolve().parents[5] / "shared/data/sumo_dlr/bologna"
PASUBIO = Inputs(
    str(BOLOGNA / "pasubio/pasubio_buslanes.net.xml.xz"),
    (str(BOLOGNA / "pasubio/pasubio.rou.xml.xz"),),
    (str(BOLOGNA / "pasubio/pasubio_tls.add.xml.xz"),),
)
PLAN = Plan(junctions=("4",), warmup=30.0, clip=4.0, scale=0.5, extra=Extra(bicycles=4000.0), split="val", licence="x")
NET = """<net><edge id="a"><lane id="a_0" index="0" speed="9" shape="0,0 90,0"/></edge>
<junction id="J" type="dead_end" x="0" y="0" shape=""/></net>"""

installed = pytest.mark.skipif(importlib.util.find_spec("libsumo") is None, reason="libsumo is not installed")
networks = pytest.mark.skipif(not BOLOGNA.is_dir(), reason="no networks in ../shared/data/sumo_dlr")


@pytest.fixture
def net(tmp_path) -> Inputs:
    path = tmp_path / "small.net.xml"
    path.write_text(NET)
    return Inputs(str(path))


def test_without_sumo_one_line_says_what_to_install(monkeypatch, net, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(sumo.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'drivetrain\[sumo\]'"):
        generate([Job(net, Plan())], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change, word",
    [
        ({"radius": 1.0}, "radius"),
        ({"clip": float("nan")}, "clip"),
        ({"clips": 0}, "clips"),
        ({"dt": 2.0}, "dt"),
        ({"warmup": -1.0}, "warmup"),
        ({"seed": -1}, "seed"),
        ({"split": "dev"}, "split"),
        ({"junctions": ("K",)}, "'K'"),
        ({"junctions": ()}, "no lights"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(net, change, word):
    with pytest.raises(InputError, match=word) as caught:
        settled(Job(net, replace(Plan(junctions=("J",)), **change)))
    assert "\n" not in str(caught.value)


def test_a_configuration_names_its_files(net, tmp_path):
    config = tmp_path / "a.sumocfg"
    config.write_text(
        '<configuration><input><net-file value="small.net.xml"/><route-files value="one.rou.xml, two.rou.xml"/>'
        '<additional-files value="tls.add.xml"/></input></configuration>'
    )
    job = settled(Job(Inputs(str(config), routes=("more",)), Plan(junctions=("J",))))
    here = str(tmp_path)
    assert job.inputs.network == f"{here}/small.net.xml" and job.plan.name == "small"
    assert job.inputs.routes == (f"{here}/one.rou.xml", f"{here}/two.rou.xml", "more")
    assert job.inputs.additional == (f"{here}/tls.add.xml",)
    assert job.plan.start == 0.0
    timed = config.read_text().replace("</input>", '</input><time><begin value="16:00:00"/></time>')
    config.write_text(timed)
    assert settled(Job(Inputs(str(config)), Plan(junctions=("J",)))).plan.start == 57_600.0
    assert settled(Job(Inputs(str(config)), Plan(junctions=("J",), begin=0.0))).plan.start == 0.0, "what is said holds"
    config.write_text(timed.replace("16:00:00", "57600"))
    assert settled(Job(Inputs(str(config)), Plan(junctions=("J",)))).plan.start == 57_600.0
    config.write_text(timed.replace("16:00:00", "16:00"))
    with pytest.raises(InputError, match="begin: '16:00'"):
        settled(Job(Inputs(str(config)), Plan(junctions=("J",))))
    config.write_text("<configuration/>")
    with pytest.raises(InputError, match="net-file"):
        settled(Job(Inputs(str(config)), Plan()))


@networks
def test_without_names_the_places_are_the_junctions_with_many_lights():
    places = settled(Job(PASUBIO, Plan())).plan.junctions
    assert {"4", "15", "29"} <= set(places) and list(places) == sorted(places)


def lit(junction: str, links: int, y: float) -> str:
    """A road towards a junction and beyond it, with so many links under one light."""
    return (
        f'<edge id="to{junction}" to="{junction}"><lane id="to{junction}_0" index="0" speed="9" '
        f'shape="0,{y} 90,{y}"/></edge>'
        f'<edge id="from{junction}" from="{junction}"><lane id="from{junction}_0" index="0" speed="9" '
        f'shape="90.2,{y} 180,{y}"/></edge><junction id="{junction}" type="traffic_light" x="90" y="{y}" shape=""/>'
        + "".join(
            f'<connection from="to{junction}" to="from{junction}" fromLane="0" toLane="0" tl="T" linkIndex="{link}" '
            'dir="s" state="O"/>'
            for link in range(links)
        )
    )


def test_where_no_junction_has_many_lights_those_with_any_are_the_places(tmp_path):
    path = tmp_path / "few.net.xml"
    path.write_text(f"<net>{lit('A', 2, 0.0)}{lit('B', 1, 50.0)}{lit('C', 0, 100.0)}</net>")
    assert settled(Job(Inputs(str(path)), Plan())).plan.junctions == ("A", "B")
    path.write_text(f"<net>{lit('A', 2, 0.0)}{lit('B', 8, 50.0)}</net>")
    assert settled(Job(Inputs(str(path)), Plan())).plan.junctions == ("B",)


class Quiet(ModuleType):
    """In SUMO's place: the calls that the generator makes, and nobody on the road."""

    TraCIException = FatalTraCIError = RuntimeError

    def __init__(self):
        super().__init__("libsumo")
        self.simulation = self.vehicle = self.person = self.trafficlight = self
        self.time, self.closed = 0.0, False

    def start(self, words):
        self.time = float(words[words.index("--begin") + 1])

    def simulationStep(self):
        self.time += 1.0

    def getTime(self):
        return self.time

    def getIDList(self):
        return ()

    def close(self):
        self.closed = True


class Lively(Quiet):
    """The same, with a car near (55, 0) from t = 50 s on."""

    def __init__(self):
        super().__init__()
        self.vehicle = Car(self)


class Car:
    def __init__(self, world):
        self.world = world

    def getIDList(self):
        return ("car",) if self.world.time > 50.0 else ()

    def getPosition(self, id):
        return 40.0 + self.world.time % 30.0, 0.0

    def getAngle(self, id):
        return 90.0

    def getSpeed(self, id):
        return 1.0

    def getVehicleClass(self, id):
        return "passenger"

    def getLength(self, id):
        return 4.5

    def getWidth(self, id):
        return 1.8


def test_a_quiet_clip_is_left_out_and_counted_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    """Two places, three clips of 25 s at each: the car comes at 50 s, and never to the second place, 500 m away."""
    path = tmp_path / "two.net.xml"
    path.write_text(f"<net>{lit('A', 2, 0.0)}{lit('B', 2, 500.0)}</net>")
    monkeypatch.setattr(sumo, "libsumo", Lively)
    plan = Plan(warmup=0.0, clips=3, dt=1.0)
    made = generate([Job(Inputs(str(path)), plan)], tmp_path / "out")
    assert [(clip.place, clip.written) for clip in made] == [
        ("A", False), ("B", False), ("A", True), ("B", False), ("A", True), ("B", False),
    ]  # fmt: skip
    assert sorted(tmp_path.joinpath("out").iterdir()) == sorted(Path(clip.file) for clip in made if clip.written)
    data.run(
        ["generate", "sumo", str(path), "--out", str(tmp_path / "again"), "--warmup", "0", "--clips", "3", "--dt", "1"]
    )
    told = capsys.readouterr().out
    assert "2 recordings" in told and "clips without traffic left out: 1 around A, 3 around B" in told
    monkeypatch.setattr(sumo, "libsumo", Quiet)
    with pytest.raises(InputError, match=r"no traffic around any junction .*--begin"):
        generate([Job(Inputs(str(path)), plan)], tmp_path / "none")


def test_networks_of_one_name_do_not_replace_each_others_files(tmp_path, monkeypatch):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "osm.net.xml").write_text(f"<net>{lit('A', 2, 0.0)}</net>")
    monkeypatch.setattr(sumo, "libsumo", Lively)
    jobs = [Job(Inputs(str(tmp_path / folder / "osm.net.xml")), Plan(warmup=60.0, dt=1.0)) for folder in ("x", "y")]
    made = generate(jobs, tmp_path / "out")
    assert [Path(clip.file).name for clip in made] == ["x-osm_A_0_60.recording.xz", "y-osm_A_0_60.recording.xz"]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    seen = []
    assert len(generate([Job(PASUBIO, PLAN)], out, progress=lambda *words: seen.append(words))) == 1
    return out, seen


@installed
@networks
def test_a_clip_is_recorded(generated):
    out, seen = generated
    assert seen == [(1, 1, "pasubio_buslanes_4_0_30.recording.xz")]
    recording = recorded.read(recorded.find(str(out))[0])
    tracks = recording.tracks
    assert (recording.group, recording.split, recording.licence) == ("pasubio_buslanes_4", "val", "x")
    assert tracks.valid.shape[1] == 41 and recording.dt == 0.1
    assert {AgentKind.CAR, AgentKind.BICYCLE} <= set(tracks.kind.tolist()) and len(tracks.id) > 5
    assert np.linalg.norm(tracks.position[tracks.valid], axis=1).max() < PLAN.radius + 10.0
    assert np.linalg.norm(tracks.velocity[tracks.valid], axis=1).max() < 25.0
    assert all(light.recorded for light in recording.lights)
    shown = {int(state) for light in recording.lights for state in light.states}
    assert {LightState.GREEN, LightState.RED} <= shown
    assert sum(line.kind == ControlKind.LIGHT for line in recording.control_lines) >= 10


@installed
@networks
def test_one_seed_gives_the_same_bytes_in_another_process_and_another_seed_others(generated, tmp_path):
    other = replace(PLAN, seed=1)
    assert len(generate([Job(PASUBIO, PLAN), Job(PASUBIO, other)], tmp_path, workers=2)) == 2
    mine = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    theirs = {path.name: path.read_bytes() for path in generated[0].iterdir()}
    assert mine.keys() == {"pasubio_buslanes_4_0_30.recording.xz", "pasubio_buslanes_4_1_30.recording.xz"}
    assert theirs.items() <= mine.items()
    assert len(set(mine.values())) == 2


@installed
@networks
def test_what_sumo_refuses_is_one_line(tmp_path):
    broken = tmp_path / "broken.rou.xml"
    broken.write_text('<routes><vehicle id="a" depart="soon"><route edges="nowhere"/></vehicle></routes>')
    with pytest.raises(InputError, match="SUMO") as caught:
        generate([Job(replace(PASUBIO, routes=(str(broken),)), PLAN)], tmp_path / "out")
    assert "\n" not in str(caught.value) and not list((tmp_path / "out").iterdir())
