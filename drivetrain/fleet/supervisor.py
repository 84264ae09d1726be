"""Groups as processes on Ray: placed, watched, ended and begun again together.

    supervise (the process that was started)            member 0 (leads: it writes journal and checkpoints)
      │ places them, gives each its place  ───────────▶ member 1
      │ asks each how far it is            ◀───────────  ⋮       all: the same updates, each of its own share of the
      │                                                 scenes; the mean gradient, and nothing else, goes between them
      │
      ├─ one dies, or raises ──────────────┐ what is left of them waits in a collective that raises, or never ends:
      ├─ no update for `patience` seconds ─┴─▶ all are killed; new ones go on from the newest good checkpoint
      ├─ one says that the run is wrong ─────▶ all are killed, and the run ends with its words (`InputError`)
      └─ all have ended ─────────────────────▶ done

    members wait      for each other, in every gradient
    `supervise` waits for whoever ends first, a second at most; then it asks how far they are
    nobody waits      for `supervise`: where it dies, Ray ends its members

A member cannot be told from a stuck one by signs of life: its process answers while a collective hangs. So it is the
updates that are watched. Ray keeps nothing here: what a member knows is in the run's folder, which all machines share.
"""

import contextlib
import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jax.errors import JaxRuntimeError

from drivetrain.fleet.group import Fleet
from drivetrain.fleet.table import Stuck
from drivetrain.types import InputError

LOOPBACK = "127.0.0.1"
BOUND = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's name for: other machines may reach this one. Unless it is 0, Ray listens at all addresses."""
ASKED_EVERY = 0.5
"""Seconds between looks at the members."""
ANSWERED_WITHIN = 30.0
"""Seconds for a process to say where it is, once it runs: its thread may have to wait for a compiler's."""
OF_THE_MACHINE = (OSError, JaxRuntimeError, Stuck)
"""What a member raises where another is gone, or a disk is full; all else is a fault, which would only come again."""
EVENTS = "fleet.jsonl"
"""In a run's folder: when groups were begun, how far they had come, and why they were begun again."""


@dataclass(frozen=True)
class Place:
    """What a member is told of where it stands."""

    rank: int
    count: int
    address: str  # of the first member, for `parallel.join`
    cores: tuple[int, ...] = ()  # of its machine, that it runs on; none: all


@dataclass(frozen=True)
class Beat:
    """How far a member is."""

    title: str = ""  # of what it does; empty: it has not begun
    unit: str = ""
    done: int = 0
    total: int = 0
    note: str = ""


Life = Callable[[Place, Callable[[Beat], None]], None]
"""What a member does, and how it says how far it is."""
Watch = Callable[[Beat], None]
"""Told the first member's beats."""


class _Member:
    """A process of Ray's. What it says by itself and what it is asked go by different threads."""

    def __init__(self):
        self._beat = Beat()

    def address(self, host: str) -> str:
        """Where it can be found by the others: at a port that was free a moment ago."""
        with socket.socket() as probe:
            probe.bind((host, 0))
            return f"{host}:{probe.getsockname()[1]}"

    def node(self) -> str:
        """Its machine's address."""
        import ray

        return ray.util.get_node_ip_address()

    def live(self, life: Life, place: Place) -> str:
        """Its life; what is wrong with the run, where it is the run."""
        if place.cores:
            os.sched_setaffinity(0, place.cores)
        try:
            life(place, self._tell)
        except Stuck:
            raise
        except InputError as error:
            return str(error)
        return ""

    def beat(self) -> Beat:
        """How far it is."""
        return self._beat

    def process(self) -> int:
        """Its number."""
        return os.getpid()

    def _tell(self, beat: Beat) -> None:
        self._beat = beat


class _Lost(Exception):
    """A generation of members that must be begun again, and why."""


def supervise(fleet: Fleet, life: Life, folder: Path, watch: Watch) -> None:
    """Have groups live to their end, whatever becomes of single ones.

    Raises `InputError` where the run itself is wrong, or where groups were begun again more than `fleet.restarts` times
    without an update between.
    """
    with _cluster(fleet) as ray:
        tries, least = 0, -1
        while True:
            _note(folder, event="begun", groups=fleet.groups)
            try:
                together = _Generation(ray, fleet, life)
                with contextlib.closing(together):
                    return together.run(watch)
            except _Lost as lost:
                tries = tries + 1 if together.furthest <= least else 1
                least = max(least, together.furthest)
                _note(folder, event="lost", why=str(lost), done=together.furthest)
                if tries > fleet.restarts:
                    raise InputError(
                        f"{folder}: fleet.restarts: {fleet.restarts} without an update between: {lost} "
                        "(go on with --resume)"
                    ) from lost


class _Generation:
    """Members that live and end together."""

    def __init__(self, ray: ModuleType, fleet: Fleet, life: Life):
        self.ray, self.fleet, self.life = ray, fleet, life
        self.furthest = -1
        options = {"max_restarts": 0, "max_concurrency": 2, "scheduling_strategy": "SPREAD"}
        options |= {"num_cpus": _cores_of_each(fleet), "num_gpus": fleet.gpus}
        self.members = [ray.remote(_Member).options(**options).remote() for _ in range(fleet.groups)]

    def run(self, watch: Watch) -> None:
        """Until all have ended. Raises `_Lost` and `InputError`."""
        lives = self._begun()
        last, since = self._beats(), time.monotonic()
        while lives:
            ended, lives = self.ray.wait(lives, num_returns=1, timeout=ASKED_EVERY)
            for life in ended:
                wrong = self._got(life)
                if wrong:
                    raise InputError(wrong)
            if not lives:
                return
            beats = self._beats() if not ended else last
            watch(beats[0])
            if beats != last:
                last, since = beats, time.monotonic()
            elif time.monotonic() - since > self.fleet.patience:
                raise _Lost(f"no update for {self.fleet.patience:g} s")

    def close(self) -> None:
        """Kill them all."""
        for member in self.members:
            self.ray.kill(member, no_restart=True)

    def _begun(self) -> list[Any]:
        hosts = self._got([member.node.remote() for member in self.members], self.fleet.patience)
        if not self.fleet.address:
            hosts = [LOOPBACK] * len(hosts)
        address = self._got(self.members[0].address.remote(hosts[0]), ANSWERED_WITHIN)
        places = [
            Place(rank, len(hosts), address, _cores(self.fleet, hosts[:rank].count(host), hosts.count(host)))
            for rank, host in enumerate(hosts)
        ]
        return [member.live.remote(self.life, place) for member, place in zip(self.members, places, strict=True)]

    def _beats(self) -> list[Beat]:
        beats = self._got([member.beat.remote() for member in self.members], self.fleet.patience)
        self.furthest = max(self.furthest, beats[0].done)
        return beats

    def _got(self, promised: Any, seconds: float = ANSWERED_WITHIN) -> Any:
        """What was promised. Raises `_Lost` where its process cannot go on, else what it raised."""
        try:
            return self.ray.get(promised, timeout=seconds)
        except self.ray.exceptions.GetTimeoutError as error:
            raise _Lost(f"no answer for {seconds:g} s (is there room for {self.fleet.groups} groups?)") from error
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, OF_THE_MACHINE):
                raise _Lost(_line(error.cause)) from error
            raise
        except self.ray.exceptions.RayError as error:
            raise _Lost(_line(error)) from error


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _cores_of_each(fleet: Fleet) -> int:
    """Cores that Ray sets aside for a group."""
    if fleet.cores or fleet.address:
        return fleet.cores or 1
    return max(len(os.sched_getaffinity(0)) // fleet.groups, 1)


def _cores(fleet: Fleet, number: int, of: int) -> tuple[int, ...]:
    """The cores of a member's own, where several share this machine; none: all of its machine."""
    if fleet.gpus or fleet.address or of == 1:
        return ()
    all_of_them = sorted(os.sched_getaffinity(0))
    each = min(fleet.cores or max(len(all_of_them) // of, 1), len(all_of_them))
    return tuple(sorted({all_of_them[(number * each + core) % len(all_of_them)] for core in range(each)}))


def _ray(alone: bool) -> ModuleType:
    """Ray, which reads what it may do when it is first imported. `alone`: no other machine may reach this one."""
    wanted = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    for name, value in (wanted | ({BOUND: "0"} if alone else {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise InputError(
            "fleet.groups: Ray is not installed (pip install 'drivetrain[fleet]', or leave it out)"
        ) from None
    return ray


@contextlib.contextmanager
def _cluster(fleet: Fleet) -> Iterator[ModuleType]:
    """Ray: a cluster of this machine alone, or the one at `fleet.address`."""
    ray = _ray(alone=not fleet.address)
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if fleet.address:
            ray.init(address=fleet.address, **quiet)
        else:
            own = {"num_cpus": fleet.groups * _cores_of_each(fleet), "include_dashboard": False}
            with warnings.catch_warnings():  # it forks; JAX, which warns of it, computes nothing here meanwhile
                warnings.simplefilter("ignore", RuntimeWarning)
                ray.init(address="local", _node_ip_address=LOOPBACK, **own, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"fleet.address: {fleet.address or 'this machine'}: Ray does not start: {said}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _note(folder: Path, **what: Any) -> None:
    """A line of `EVENTS`."""
    with open(folder / EVENTS, "a") as stream:
        stream.write(json.dumps({"time": round(time.time(), 3), **what}) + "\n")
