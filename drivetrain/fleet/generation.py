"""Members on Ray that live and end together: one keeper's, from their first moment to its verdict.

Ray gives processes, on one machine or many, and tells when one is gone. It restarts nothing and holds no data.
"""

import contextlib
import importlib.util
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import numpy as np
from jax.errors import JaxRuntimeError

from drivetrain.fleet.desk import Desk, Job, Leaves, Order
from drivetrain.fleet.group import Fleet
from drivetrain.fleet.supervisor import Beat, Life, Place, Replaced, Role, Verdict
from drivetrain.fleet.table import Stuck
from drivetrain.types import InputError

LOOPBACK = "127.0.0.1"
BOUND = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's name for: other machines may reach this one. Unless it is 0, Ray listens at all addresses."""
ASKED_EVERY = 0.5
"""Seconds between looks at the members."""
ANSWERED_WITHIN = 30.0
"""Seconds for a process that runs to answer: its thread may have to wait for a compiler's."""
ALONE_ON_A_CORE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
"""What XLA is told where it has one core."""
ENDED_WITHIN = 20.0
"""Seconds for Ray to end its processes one after the other; then they end with the keeper."""
OF_THE_MACHINE = (OSError, JaxRuntimeError, Stuck)
"""What a member raises where another is gone, or a disk is full; all else is a fault, which would only come again."""


def keep(fleet: Fleet, life: Life, said: Connection) -> None:
    """A `supervisor.Keeper`: members of a cluster of this machine alone, or of the one at `fleet.address`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began this is interrupted too, and ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with _cluster(fleet) as ray, contextlib.closing(_Generation(ray, fleet, life)) as members:
            verdict = members.run(said)
    except InputError as error:
        verdict = Verdict(wrong=str(error))
    except _Lost as lost:
        verdict = Verdict(lost=str(lost))
    except OSError:  # nobody listens any more
        return
    except BaseException:
        verdict = Verdict(fault=traceback.format_exc())
    with contextlib.suppress(OSError):
        said.send(verdict)


def _end_with_parent() -> None:
    """Ray's processes on this machine end with the one that began them."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    multiprocessing.connection.wait([parent.sentinel])
    threading.Timer(ENDED_WITHIN, os._exit, (1,)).start()
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    os._exit(1)


class _Lost(Exception):
    """Members must be begun again, and why."""


class _Member:
    """A process of Ray's. What it does and what it is asked go by different threads."""

    def __init__(self):
        self._beat, self._desk = Beat(), Desk()

    def node(self) -> str:
        """Its machine's address."""
        import ray

        return ray.util.get_node_ip_address()

    def address(self, host: str) -> str:
        """Where it can be found by the others: at a port that was free a moment ago."""
        with socket.socket() as probe:
            probe.bind((host, 0))
            return f"{host}:{probe.getsockname()[1]}"

    def live(self, life: Life, place: Place, learner: Any = None) -> Verdict:
        """Its life, and how it ended; an assistant is given its learner.

        Errors are told in words: some cannot be sent to another process.
        """
        if place.cores:
            _stay_on(place.cores)
        try:
            life(place, self._tell, self._desk if learner is None else _Reached(learner))
        except (*OF_THE_MACHINE, _Lost) as error:
            return Verdict(lost=_line(error))
        except InputError as error:
            return Verdict(wrong=str(error))
        except Exception:
            return Verdict(fault=traceback.format_exc())
        finally:
            self._desk.end()
        return Verdict()

    def asked(self, what: str, *told: Any) -> Any:
        """Of its desk: what an assistant asks, in its words."""
        return getattr(self._desk, what)(*told)

    def beat(self) -> Beat:
        """How far it is."""
        return self._beat

    def _tell(self, beat: Beat) -> None:
        self._beat = beat


@dataclass(frozen=True)
class _Reached:
    """The desk of a learner that is in another process, as a `Door`."""

    learner: Any

    def hire(self, actor: int) -> Job | None:
        """As `Door` has it."""
        return self._asked("hire", actor)

    def order(self, actor: int, stage: str) -> Order | None:
        """As `Door` has it."""
        return self._asked("order", actor, stage)

    def add(self, actor: int, stage: str, version: int, ids: np.ndarray, leaves: Leaves) -> bool:
        """As `Door` has it."""
        return self._asked("add", actor, stage, version, ids, leaves)

    def over(self, seconds: float) -> bool:
        """As `Door` has it."""
        return self._asked("over", seconds)

    def _asked(self, *words: Any) -> Any:
        """An answer, which may take its time. Raises `_Lost` where nobody is left to give it."""
        import ray
        from ray.exceptions import RayError

        try:
            return ray.get(self.learner.asked.remote(*words))
        except RayError as error:
            raise _Lost(_line(error)) from error


class Learner(_Member):
    """By this name Ray, and a list of processes, show it."""


class Actor(_Member):
    """By this name Ray, and a list of processes, show it."""


class Evaluator(_Member):
    """By this name Ray, and a list of processes, show it."""


KINDS: dict[Role, type[_Member]] = {"learner": Learner, "actor": Actor, "evaluator": Evaluator}


class _Generation:
    """Learners that live and end together, and their assistants, which are replaced."""

    def __init__(self, ray: ModuleType, fleet: Fleet, life: Life):
        self.ray, self.fleet, self.life = ray, fleet, life
        self.learners = [self._member("learner") for _ in range(fleet.groups)]
        self.assistants: dict[Any, tuple[Place, Any]] = {}  # by their lives: where they stand, and they themselves
        self.replaced = 0  # without an update between

    def run(self, said: Connection) -> Verdict:
        """Until all have ended, or one of them otherwise than it should. Raises `_Lost`."""
        lives = self._begun()
        last, since = self._beats(), time.monotonic()
        while lives:
            ended, _ = self.ray.wait([*lives, *self.assistants], num_returns=1, timeout=ASKED_EVERY)
            for life in ended:
                verdict = self._ended(life, said) if life in self.assistants else self._got(life)
                if verdict != Verdict():
                    return verdict
            left = [life for life in lives if life not in ended]
            beats = last if left != lives else self._beats()
            said.send(beats[0])
            if beats != last or left != lives:
                last, since, self.replaced = beats, time.monotonic(), 0
            elif time.monotonic() - since > self.fleet.patience:
                raise _Lost(f"no update for {self.fleet.patience:g} s")
            lives = left
        said.send(self._beats()[0])
        if self.assistants:  # they are told that the run is over
            self.ray.wait([*self.assistants], num_returns=len(self.assistants), timeout=ANSWERED_WITHIN)
        return Verdict()

    def close(self) -> None:
        """Kill them all."""
        for member in [*self.learners, *(member for _, member in self.assistants.values())]:
            with contextlib.suppress(Exception):  # Ray itself may be gone
                self.ray.kill(member, no_restart=True)

    def _member(self, role: Role) -> Any:
        talks = 3 + self.fleet.actors + self.fleet.evaluator  # at once: its life, its beat, and each of its assistants
        options = {"max_restarts": 0, "max_concurrency": talks, "scheduling_strategy": "SPREAD"}
        options |= {"num_cpus": _cores_of_each(self.fleet), "num_gpus": self.fleet.gpus}
        return self.ray.remote(KINDS[role]).options(**options).remote()

    def _begun(self) -> list[Any]:
        """The learners' lives, begun, and then their assistants': each knows where it stands."""
        who = _assistants(self.fleet)
        members = [*self.learners, *(self._member(role) for role, _, _ in who)]
        hosts = self._got([member.node.remote() for member in members], self.fleet.patience)
        address = self._got(self.learners[0].address.remote(hosts[0]))
        places = []
        learners: list[tuple[Role, int, int]] = [("learner", rank, 0) for rank in range(self.fleet.groups)]
        for row, (host, (role, rank, number)) in enumerate(zip(hosts, [*learners, *who], strict=True)):
            cores = _cores(self.fleet, hosts[:row].count(host), hosts.count(host))
            places.append(Place(rank, self.fleet.groups, address, cores, role, number))
        lives = [self._living(member, place) for member, place in zip(members, places, strict=True)]
        rows = range(len(self.learners), len(members))
        self.assistants = {lives[row]: (places[row], members[row]) for row in rows}
        return lives[: len(self.learners)]

    def _living(self, member: Any, place: Place) -> Any:
        learner = () if place.role == "learner" else (self.learners[place.rank],)
        return member.live.remote(self.life, place, *learner)

    def _ended(self, life: Any, said: Connection) -> Verdict:
        """What is to be done of an assistant's end: where it was none of its own, another takes its place."""
        place, member = self.assistants.pop(life)
        try:
            verdict = self._got(life)
        except _Lost as lost:
            verdict = Verdict(lost=str(lost))
        if not verdict.lost:
            return verdict
        self.replaced += 1
        if self.replaced > self.fleet.restarts:
            raise _Lost(f"{place}: {verdict.lost}")
        with contextlib.suppress(Exception):
            self.ray.kill(member, no_restart=True)
        member = self._member(place.role)
        self.assistants[self._living(member, place)] = place, member
        said.send(Replaced(str(place), verdict.lost))
        return Verdict()

    def _beats(self) -> list[Beat]:
        return self._got([member.beat.remote() for member in self.learners], self.fleet.patience)

    def _got(self, promised: Any, seconds: float = ANSWERED_WITHIN) -> Any:
        """What was promised. Raises `_Lost` where its process cannot keep it."""
        try:
            return self.ray.get(promised, timeout=seconds)
        except self.ray.exceptions.GetTimeoutError as error:
            raise _Lost(
                f"no answer for {seconds:g} s (is there room for {_processes(self.fleet)} processes?)"
            ) from error
        except self.ray.exceptions.RayError as error:
            raise _Lost(_line(error)) from error


def _assistants(fleet: Fleet) -> list[tuple[Role, int, int]]:
    """Who helps the learners: role, group, number there."""
    those: list[tuple[Role, int, int]] = [("evaluator", 0, 0)] if fleet.evaluator else []
    actors = range(fleet.actors * fleet.away)
    return [*those, *(("actor", rank, number) for rank in range(fleet.groups) for number in actors)]


def _processes(fleet: Fleet) -> int:
    return fleet.groups + len(_assistants(fleet))


def _stay_on(cores: tuple[int, ...]) -> None:
    """Of this process, before JAX begins: on one core XLA's threads would wait for each other by turning round."""
    os.sched_setaffinity(0, cores)
    if len(cores) == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ALONE_ON_A_CORE}".strip()


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _cores_of_each(fleet: Fleet) -> int:
    """Cores that Ray sets aside for a process."""
    if fleet.cores or fleet.address:
        return fleet.cores or 1
    return max(len(os.sched_getaffinity(0)) // _processes(fleet), 1)


def _cores(fleet: Fleet, number: int, of: int) -> tuple[int, ...]:
    """The cores of a member's own, where several share this machine; none: all of its machine."""
    cores = sorted(os.sched_getaffinity(0))
    each = min(fleet.cores or max(len(cores) // of, 1), len(cores))
    if fleet.gpus or fleet.address or each == len(cores):
        return ()
    return tuple(sorted({cores[(number * each + core) % len(cores)] for core in range(each)}))


def require_ray(fleet: Fleet) -> ModuleType:
    """Ray, which reads what it may do when it is first imported. Raises `InputError` where it is not installed."""
    # Members are what the machine is for, and no tasks to be tried again: Ray neither ranks them below all else (15),
    # nor ends them where memory is short.
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_worker_niceness": "0",
    }
    for name, value in (wanted if fleet.address else wanted | {BOUND: "0"}).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise InputError("fleet.groups: Ray is not installed (pip install 'drivetrain[fleet]', or set 0)") from None
    if fleet.dashboard and importlib.util.find_spec("aiohttp_cors") is None:
        raise InputError("fleet.dashboard: Ray's page is not installed (pip install 'ray[default]', or leave it out)")
    return ray


@contextlib.contextmanager
def _cluster(fleet: Fleet) -> Iterator[ModuleType]:
    ray = require_ray(fleet)
    quiet = {"logging_level": "ERROR", "log_to_driver": True}
    try:
        if fleet.address:
            ray.init(address=fleet.address, **quiet)
        else:
            own = {"num_cpus": _processes(fleet) * _cores_of_each(fleet), "include_dashboard": fleet.dashboard}
            own |= {"dashboard_host": LOOPBACK}
            ray.init(address="local", _node_ip_address=LOOPBACK, **own, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"fleet.address: {fleet.address or 'this machine'}: Ray does not start: {said}") from error
    try:
        if not fleet.address and ray.util.get_node_ip_address() != LOOPBACK:
            raise InputError(f"fleet.address: Ray would listen to other machines (leave {BOUND} at 0)")
        yield ray
    finally:
        ray.shutdown()
