"""Members on Ray that live and end together: one keeper's, from their first moment to its verdict.

Ray gives processes, on one machine or many, and tells when one is gone. It restarts nothing and holds no data.
"""

import contextlib
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from jax.errors import JaxRuntimeError

from drivetrain.fleet.group import Fleet
from drivetrain.fleet.supervisor import Beat, Life, Place, Verdict
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
        self._beat = Beat()

    def node(self) -> str:
        """Its machine's address."""
        import ray

        return ray.util.get_node_ip_address()

    def address(self, host: str) -> str:
        """Where it can be found by the others: at a port that was free a moment ago."""
        with socket.socket() as probe:
            probe.bind((host, 0))
            return f"{host}:{probe.getsockname()[1]}"

    def live(self, life: Life, place: Place) -> Verdict:
        """Its life, and how it ended. Errors are told in words: some cannot be sent to another process."""
        if place.cores:
            _stay_on(place.cores)
        try:
            life(place, self._tell)
        except OF_THE_MACHINE as error:
            return Verdict(lost=_line(error))
        except InputError as error:
            return Verdict(wrong=str(error))
        except Exception:
            return Verdict(fault=traceback.format_exc())
        return Verdict()

    def beat(self) -> Beat:
        """How far it is."""
        return self._beat

    def _tell(self, beat: Beat) -> None:
        self._beat = beat


class _Generation:
    """Members that live and end together."""

    def __init__(self, ray: ModuleType, fleet: Fleet, life: Life):
        self.ray, self.fleet, self.life = ray, fleet, life
        options = {"max_restarts": 0, "max_concurrency": 2, "scheduling_strategy": "SPREAD"}
        options |= {"num_cpus": _cores_of_each(fleet), "num_gpus": fleet.gpus}
        self.members = [ray.remote(_Member).options(**options).remote() for _ in range(fleet.groups)]

    def run(self, said: Connection) -> Verdict:
        """Until all have ended, or one of them otherwise than it should. Raises `_Lost`."""
        lives = self._begun()
        last, since = self._beats(), time.monotonic()
        while lives:
            ended, lives = self.ray.wait(lives, num_returns=1, timeout=ASKED_EVERY)
            for life in ended:
                verdict = self._got(life)
                if verdict != Verdict():
                    return verdict
            beats = last if ended else self._beats()
            said.send(beats[0])
            if beats != last or ended:
                last, since = beats, time.monotonic()
            elif time.monotonic() - since > self.fleet.patience:
                raise _Lost(f"no update for {self.fleet.patience:g} s")
        said.send(self._beats()[0])
        return Verdict()

    def close(self) -> None:
        """Kill them all."""
        for member in self.members:
            with contextlib.suppress(Exception):  # Ray itself may be gone
                self.ray.kill(member, no_restart=True)

    def _begun(self) -> list[Any]:
        """Their lives, begun: each knows where it stands."""
        hosts = self._got([member.node.remote() for member in self.members], self.fleet.patience)
        address = self._got(self.members[0].address.remote(hosts[0]))
        places = [
            Place(rank, len(hosts), address, _cores(self.fleet, hosts[:rank].count(host), hosts.count(host)))
            for rank, host in enumerate(hosts)
        ]
        return [member.live.remote(self.life, place) for member, place in zip(self.members, places, strict=True)]

    def _beats(self) -> list[Beat]:
        return self._got([member.beat.remote() for member in self.members], self.fleet.patience)

    def _got(self, promised: Any, seconds: float = ANSWERED_WITHIN) -> Any:
        """What was promised. Raises `_Lost` where its process cannot keep it."""
        try:
            return self.ray.get(promised, timeout=seconds)
        except self.ray.exceptions.GetTimeoutError as error:
            raise _Lost(f"no answer for {seconds:g} s (is there room for {self.fleet.groups} groups?)") from error
        except self.ray.exceptions.RayError as error:
            raise _Lost(_line(error)) from error


def _stay_on(cores: tuple[int, ...]) -> None:
    """Of this process, before JAX begins: on one core XLA's threads would wait for each other by turning round."""
    os.sched_setaffinity(0, cores)
    if len(cores) == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ALONE_ON_A_CORE}".strip()


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _cores_of_each(fleet: Fleet) -> int:
    """Cores that Ray sets aside for a group."""
    if fleet.cores or fleet.address:
        return fleet.cores or 1
    return max(len(os.sched_getaffinity(0)) // fleet.groups, 1)


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
    return ray


@contextlib.contextmanager
def _cluster(fleet: Fleet) -> Iterator[ModuleType]:
    ray = require_ray(fleet)
    quiet = {"logging_level": "ERROR", "log_to_driver": True}
    try:
        if fleet.address:
            ray.init(address=fleet.address, **quiet)
        else:
            own = {"num_cpus": fleet.groups * _cores_of_each(fleet), "include_dashboard": False}
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
