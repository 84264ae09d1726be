"""`drivetrain data generate sumo`: hours of signalised urban traffic as recordings, one simulation a process.

network + demand ──▶ SUMO, step by step ──▶ clips around places ──▶ OUT/<name>_<place>_<seed>_<s>.recording.xz
"""

import concurrent.futures
import dataclasses
import importlib
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from drivetrain.data.generating.sumo.demand import Extra, extra_trips, type_definitions
from drivetrain.data.generating.sumo.network import Network, read_network
from drivetrain.data.generating.sumo.road import Road, road_around
from drivetrain.data.generating.sumo.traffic import Body, Clip, look, tracks_of
from drivetrain.data.readers.hardened_xml import number, parse, quote, read_bytes, refuse
from drivetrain.data.readers.recorded import SUFFIX
from drivetrain.data.recordings.naming import named_apart
from drivetrain.data.recordings.provenance import counted
from drivetrain.data.recordings.recording import SPLITS, Recording
from drivetrain.data.recordings.recording_files import write_recording
from drivetrain.types import InputError

Progress = Callable[[int, int, str], None]
"""Called with clips done, all clips and a file's name: after each clip, or with several processes each simulation."""

LATERAL_RESOLUTION = 0.8
"""Width of SUMO's sublanes, m."""
LIMITS = (
    ("radius", 20.0, 1000.0),
    ("begin", 0.0, 1e7),
    ("warmup", 0.0, 1e6),
    ("clips", 1, 100_000),
    ("clip", 1.0, 3600.0),
    ("pause", 0.0, 1e6),
    ("dt", 0.02, 1.0),
    ("scale", 0.0, 100.0),
    ("seed", 0, 2**31 - 1),
)
"""What a plan's numbers may be, where they are given."""
BUSY = 8
"""Where no junction is named: those with at least so many connections under lights, or else all with lights."""


@dataclass(frozen=True)
class Inputs:
    """The files of one network."""

    network: str  # .net.xml, or a .sumocfg that names one, its demand and its signal programs
    routes: tuple[str, ...] = ()  # demand
    additional: tuple[str, ...] = ()  # signal programs, vehicle types, stops


@dataclass(frozen=True)
class Plan:
    """How a network is simulated, and which clips are cut out."""

    junctions: tuple[str, ...] = ()  # places, by junction id; none: junctions with many lights, or with any
    radius: float = 80.0  # m around a junction that are recorded
    begin: float | None = None  # s: when the simulation begins; None: when the .sumocfg says, or at 0
    warmup: float = 300.0  # s before the first clip
    clips: int = 1  # one after the other, at every place
    clip: float = 25.0  # s
    pause: float = 0.0  # s between clips
    dt: float = 0.1  # s
    scale: float = 1.0  # of the demand
    extra: Extra = Extra()
    seed: int = 0
    name: str = ""  # begins the name of every recording; empty: the network's
    split: str = ""
    licence: str = ""

    @property
    def start(self) -> float:
        """When the simulation begins, s."""
        return self.begin or 0.0

    @property
    def seconds(self) -> float:
        """Simulated time."""
        return self.warmup + self.clips * self.clip + (self.clips - 1) * self.pause


@dataclass(frozen=True)
class Job:
    """One simulation."""

    inputs: Inputs
    plan: Plan


@dataclass(frozen=True)
class Made:
    """One clip: its file, and whether it is there. Where nobody was near the place, nothing is written."""

    place: str
    file: str
    written: bool


def generate(jobs: Sequence[Job], out: str | Path, workers: int = 1, progress: Progress | None = None) -> list[Made]:
    """Run simulations and write their clips to a folder, and say what became of each.

    The same jobs give the same bytes with one release of SUMO, with any number of workers; files of the same names are
    replaced. Raises `InputError` where SUMO is not installed, where an input cannot be used, or where no clip has
    traffic.
    """
    libsumo()
    jobs = _named_apart([settled(job) for job in jobs])
    total = sum(job.plan.clips * len(job.plan.junctions) for job in jobs)
    Path(out).mkdir(parents=True, exist_ok=True)
    made: list[Made] = []
    for clips in _simulate_all(jobs, str(out), workers):
        made += clips
        if progress is not None:
            progress(len(made), total, os.path.basename(clips[-1].file))
    if not any(clip.written for clip in made):
        refuse(jobs[0].inputs.network, "no traffic around any junction", "add demand, or name --begin or --junctions")
    return made


def _named_apart(jobs: list[Job]) -> list[Job]:
    """The jobs, those of networks of one name named by the networks' paths: their files would replace each other."""
    name = {job.inputs.network: job.plan.name for job in jobs}
    name = dict(zip(name, named_apart(list(name.values()), list(name)), strict=True))
    return [Job(job.inputs, dataclasses.replace(job.plan, name=name[job.inputs.network])) for job in jobs]


def libsumo() -> ModuleType:
    """The module `libsumo`. Raises `InputError` where it is not installed."""
    try:
        return importlib.import_module("libsumo")
    except ImportError:
        raise InputError("libsumo: not installed (pip install 'drivetrain[sumo]')") from None


def settled(job: Job) -> Job:
    """The job with what a .sumocfg names, and with its places. Raises `InputError` on values that make no sense."""
    inputs, plan = job.inputs, job.plan
    if inputs.network.endswith(".sumocfg"):
        inputs, begin = _configured(inputs)
        plan = dataclasses.replace(plan, begin=begin if plan.begin is None else plan.begin)
    for name, low, high in LIMITS:
        value = getattr(plan, name)
        if value is not None and not low <= value <= high:
            refuse(f"{inputs.network}: {name}", f"{value:g}", f"give {low:g} to {high:g}")
    if plan.split not in ("", *SPLITS):
        refuse(f"{inputs.network}: split", quote(plan.split), f"use one of {', '.join(SPLITS)}")
    network = read_network(inputs.network)
    places = plan.junctions or _busy(network)
    unknown = [place for place in places if place not in network.junctions]
    if unknown or not places:
        refuse(f"{inputs.network}: junctions", f"no {quote(unknown[0]) if unknown else 'lights'}", "name its junctions")
    name = plan.name or os.path.basename(inputs.network).split(".")[0]
    return Job(inputs, dataclasses.replace(plan, junctions=tuple(places), name=name))


def _configured(inputs: Inputs) -> tuple[Inputs, float | None]:
    """What a configuration of SUMO names: network, demand and additional files, relative to itself; when it begins."""
    root, folder = parse(inputs.network), os.path.dirname(inputs.network)

    def files(tag: str) -> tuple[str, ...]:
        words = [name.strip() for element in root.iter(tag) for name in (element.get("value") or "").split(",")]
        return tuple(os.path.join(folder, name) for name in words if name)

    networks = files("net-file")
    if len(networks) != 1:
        refuse(f"{inputs.network}: net-file", f"{len(networks)} networks", "name one")
    begins = [_seconds(f"{inputs.network}: begin", element.get("value")) for element in root.iter("begin")]
    named = Inputs(networks[0], files("route-files") + inputs.routes, files("additional-files") + inputs.additional)
    return named, begins[0] if begins else None


def _seconds(where: str, text: str | None) -> float:
    """A time of SUMO: seconds, or days, hours, minutes and seconds as `h:m:s` or `d:h:m:s`."""
    parts = [number(where, part) for part in (text or "").split(":")]
    if len(parts) not in (1, 3, 4):
        refuse(where, quote(text), "give seconds, or h:m:s")
    return sum(part * unit for part, unit in zip(reversed(parts), (1.0, 60.0, 3600.0, 86400.0), strict=False))


def _busy(network: Network) -> list[str]:
    """The junctions with many connections under lights, or else with any, in the order of their names."""
    lit: Counter[str] = Counter()
    for connection in network.connections:
        junction = network.lanes[connection.source].into
        lit[junction] += bool(connection.signal) and junction in network.junctions
    busy = [junction for junction, links in lit.items() if links >= BUSY]
    return sorted(busy or [junction for junction, links in lit.items() if links])


def _simulate_all(jobs: list[Job], out: str, workers: int) -> Iterator[list[Made]]:
    """The clips of each simulation, in the order of the jobs; without workers, clip by clip."""
    if workers <= 1:
        for job in jobs:
            yield from ([clip] for clip in simulate(job, out))
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        try:
            yield from pool.map(_simulated, jobs, [out] * len(jobs))
        except BrokenProcessPool:
            raise InputError("a simulation's process died (use fewer --workers, or run SUMO on the network)") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _simulated(job: Job, out: str) -> list[Made]:
    return list(simulate(job, out))


# ------------------------------------------------------------------------------------------------------- one simulation


def simulate(job: Job, out: str) -> Iterator[Made]:
    """Run one settled job and yield each clip as soon as it is written."""
    inputs, plan = job.inputs, job.plan
    network, simulation = read_network(inputs.network), libsumo()
    places = {name: network.junctions[name].position for name in plan.junctions}
    roads = {name: road_around(network, place, plan.radius) for name, place in places.items()}
    with tempfile.TemporaryDirectory() as folder:
        try:
            simulation.start(_command(job, network, folder))
            _run(simulation, plan.warmup, plan.dt)
            for index in range(plan.clips):
                start = plan.start + plan.warmup + index * (plan.clip + plan.pause)
                _run(simulation, start - simulation.simulation.getTime(), plan.dt)
                clips, bodies = _record(simulation, plan, places)
                for name, clip in clips.items():
                    file = os.path.join(out, f"{plan.name}_{name}_{plan.seed}_{start:g}{SUFFIX}")
                    recording = _recording(job, name, clip, bodies, roads[name], file)
                    if recording is not None:
                        write_recording(file, recording)
                    yield Made(name, file, recording is not None)
        except (simulation.TraCIException, simulation.FatalTraCIError) as error:
            words = " ".join(str(error).split())[:200]
            refuse(inputs.network, f"SUMO: {quote(words) if not words.isprintable() else words}", "run SUMO on it")
        finally:
            simulation.close()


def _command(job: Job, network: Network, folder: str) -> list[str]:
    """SUMO's command line; packed inputs are unpacked to a folder of our own, for SUMO reads no xz."""

    def plain(file: str) -> str:
        if not file.endswith((".xz", ".gz")):
            return file
        path = os.path.join(folder, os.path.basename(file).removesuffix(".xz").removesuffix(".gz"))
        Path(path).write_bytes(read_bytes(file))
        return path

    inputs, plan = job.inputs, job.plan
    places = [network.junctions[name].position for name in plan.junctions]
    types, trips = os.path.join(folder, "drivetrain.add.xml"), os.path.join(folder, "drivetrain.rou.xml")
    definitions = type_definitions([*inputs.additional, *inputs.routes])
    added = extra_trips(network, places, plan.extra, (plan.start, plan.start + plan.seconds), plan.seed)
    for path, tag, lines in ((types, "additional", definitions), (trips, "routes", added)):
        Path(path).write_text("\n".join([f"<{tag}>", *lines, f"</{tag}>"]), encoding="utf-8")
    return [
        "sumo",
        *("--net-file", plain(inputs.network)),
        *("--additional-files", ",".join([types, *map(plain, inputs.additional)])),
        *("--route-files", ",".join([*map(plain, inputs.routes), trips])),
        *("--begin", f"{plan.start:g}"),
        *("--scale", f"{plan.scale:g}"),
        *("--step-length", f"{plan.dt:g}"),
        *("--lateral-resolution", f"{LATERAL_RESOLUTION:g}"),
        *("--seed", str(plan.seed)),
        *("--collision.action", "none"),
        *("--xml-validation", "never"),
        *("--ignore-route-errors", "true"),
        *("--no-step-log", "true"),
        *("--no-warnings", "true"),
    ]


def _run(simulation: ModuleType, seconds: float, dt: float) -> None:
    for _ in range(round(seconds / dt)):
        simulation.simulationStep()


def _record(
    simulation: ModuleType, plan: Plan, places: dict[str, np.ndarray]
) -> tuple[dict[str, Clip], dict[str, Body]]:
    """One clip at every place, of the seconds to come."""
    clips = {name: Clip(place, plan.radius) for name, place in places.items()}
    bodies: dict[str, Body] = {}
    signals = simulation.trafficlight.getIDList()
    for _ in range(round(plan.clip / plan.dt) + 1):
        simulation.simulationStep()
        sights = look(simulation, bodies)
        letters = {signal: simulation.trafficlight.getRedYellowGreenState(signal) for signal in signals}
        for clip in clips.values():
            clip.add(sights, letters)
    return clips, bodies


def _recording(job: Job, place: str, clip: Clip, bodies: dict[str, Body], road: Road, file: str) -> Recording | None:
    """A clip as a recording, with counts of what was derived, which `convert` takes from the file; None: no traffic.

    Clips of one place are one group: they show the same road, and may share vehicles.
    """
    plan = job.plan
    tracks, cut = tracks_of(clip, bodies, road.origin, plan.dt)
    if not len(tracks.id):
        return None
    lights = tuple(  # of a link that no running program has: unknown
        signal.states([letters.get(signal.signal, "")[signal.link :][:1] for letters in clip.letters])
        for signal in road.signals
    )
    recording = Recording(
        name=os.path.basename(file).removesuffix(SUFFIX),
        file=file,
        dt=plan.dt,
        tracks=tracks,
        lanes=road.lanes,
        control_lines=road.control_lines,
        lights=lights,
        features=road.features,
        group=f"{plan.name}_{place}",
        split=plan.split,
        source=f"simulated with SUMO on {plan.name}",
        licence=plan.licence,
        origin=road.origin,
        notes=road.notes | ({"teleports": cut} if cut else {}),
    )
    return counted(recording)
