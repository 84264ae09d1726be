"""Every test runs on the CPU, with shapes and types of the package checked at each call.

Compiled programs are kept in the user's cache, so that a second run, in any clone, spends its time on testing.
"""

import os
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drivetrain" / "tests"

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))  # also for the processes that a test starts
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

install_import_hook("drivetrain", "beartype.beartype")

MAPS = 20_000
"""Memory maps of a process, each compiled program some; Linux allows 65,530, beyond which compiling ends in a crash."""


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_given_back():
    """Between files, where a worker holds many."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MAPS:
        jax.clear_caches()
