"""drivetrain: train driving policies from recorded traffic.

  drivetrain data convert FORMAT SRC… --out DIR   recordings → a dataset, and which egos may be driven
  drivetrain data info DIR                        what a dataset holds, and what was left out and why
  drivetrain data verify DIR                      every record's checksum
  drivetrain data render DIR --out SET            labelled pictures, as cameras on its vehicles see it
  drivetrain train RECIPE --out RUN               a dataset → a trained, evaluated policy and its report;
                                                  RECIPE: a name, or FILE.py:FUNCTION of yours
  drivetrain train RECIPE --resume RUN            continue from the newest good checkpoint
  drivetrain status RUN                           where it stands: steps, rate, restarts, the last judgement
  drivetrain evaluate POLICY --data DIR           POLICY: a run, a checkpoint, or log | idm | constant
  drivetrain export RUN --out FOLDER              its policy with configuration and model card, for model hubs
  drivetrain perception train SET… --out RUN      a camera's network: vehicles and lines between lanes
  drivetrain perception test RUN SET…             what it finds in labelled pictures, and a page
  drivetrain view RUN|DIR|FILE                    look at a report, a dataset or a recording in the browser, or
                                                  --export page.html | curves.svg | drive.gif | drive.png
  drivetrain study learning-rules --data DIR      BC, PPO, APG and LOOP head to head: a page, resumable
  drivetrain bench [CASE…]                        milliseconds a step, agent-steps/s, compile time, memory

Every command explains its options with --help. The exit status is 0, or non-zero with one line on stderr.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from drivetrain import __version__

COMMANDS = ("data", "train", "status", "evaluate", "export", "view", "perception", "study", "bench")
"""The first word of a command line: each is a file of `commands`, imported when it is called."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: bad input gives one line on stderr, never a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        return _introduce(words)
    from drivetrain.types import InputError  # JAX comes with it: not for a mere --help

    keep_compiled_programs()
    try:
        importlib.import_module(f"drivetrain.commands.{words[0]}").run(words[1:])
    except InputError as error:
        return _complain(str(error))
    except BrokenPipeError:  # a reader such as `head` has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _complain(
            f"{error.filename or 'system'}: {error.strerror or error} (check the path, its rights and the disk)"
        )
    except KeyboardInterrupt:
        _complain("interrupted (a run continues with `train RECIPE --resume RUN`)")
        return 130
    return 0


def keep_compiled_programs() -> None:
    """Have JAX keep compiled programs in the user's cache, so that a second run starts at once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drivetrain" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


def _introduce(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        print(f"drivetrain {__version__}")
        return 0
    if words in (["--help"], ["-h"]):
        print((__doc__ or "").rstrip())
        return 0
    if not words:
        print((__doc__ or "").rstrip(), file=sys.stderr)
        return 2
    _complain(f"{words[0]}: no such command (use one of {', '.join(COMMANDS)}, or --help)")
    return 2


def _complain(words: str) -> int:
    print(f"drivetrain: {' '.join(words.split())}", file=sys.stderr)
    return 1
