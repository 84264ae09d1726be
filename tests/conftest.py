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

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook("drivetrain", "beartype.beartype")
