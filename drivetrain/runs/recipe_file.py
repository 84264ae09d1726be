"""A recipe from outside the package: FILE.py:FUNCTION, where the function returns a `Run`.

The file is loaded as a module by the name of its stem. Its components stand in `config.json` by that name, and are
found again only where the user names the file again.
"""

import dataclasses
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from drivetrain.runs.configuration import NAMED
from drivetrain.runs.run import Run
from drivetrain.types import InputError


def names_file(word: str) -> bool:
    """Whether a word is FILE.py:FUNCTION, and not a recipe of the package."""
    return word.partition(":")[0].endswith(".py")


def load_recipe(word: str) -> Run:
    """What the function of FILE.py:FUNCTION returns. Raises `InputError` where it is no run of components."""
    name, _, function = word.partition(":")
    make = getattr(_load(Path(name)), function, None) if function else None
    if not callable(make):
        raise InputError(f"{name}: {function or 'function'}: no such function (name one: {name}:FUNCTION)")
    run = _called(f"{name}: {function}", make)
    if not isinstance(run, Run):
        raise InputError(f"{name}: {function}: returns {type(run).__name__} (return a drivetrain.runs.run.Run)")
    _check(run, f"{name}: {function}")
    return run


def _load(file: Path) -> ModuleType:
    """The file as a module, by which its components are known from now on."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InputError(f"{file}: no such file (name a recipe's Python file)")
    if sys.modules.get(file.stem) is not NAMED.get(file.stem):
        raise InputError(f"{file}: {file.stem} is the name of another module (rename the file)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = NAMED[file.stem] = module  # dataclasses look their own module up
    try:
        _called(str(file), lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    except InputError:
        del sys.modules[file.stem], NAMED[file.stem]
        raise
    return module


def _called(what: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except InputError:
        raise
    except Exception as error:  # whatever a stranger's code raises
        said = " ".join(str(error).split())
        raise InputError(f"{what}: raises {type(error).__name__}: {said} (mend it)") from error


def _check(value: Any, where: str) -> None:
    """Raise `InputError` unless a value can stand in a configuration and be found again."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            _check(item, f"{where}.{number}")
    elif value is not None and not isinstance(value, bool | int | float | str):
        kind = type(value)
        decorated = "__dataclass_params__" in vars(kind) and vars(kind)["__dataclass_params__"].frozen
        if not decorated:
            raise InputError(
                f"{where}: {kind.__name__} is not a component (decorate it with drivetrain.types.component)"
            )
        home = kind.__module__
        if not (home.startswith("drivetrain.") or getattr(NAMED.get(home), kind.__qualname__, None) is kind):
            raise InputError(f"{where}: {kind.__name__} is of {home} (put it at the top of the recipe's own file)")
        for field in dataclasses.fields(value):
            _check(getattr(value, field.name), f"{where}.{field.name}")
