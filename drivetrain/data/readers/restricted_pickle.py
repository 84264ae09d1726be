"""Pickles from files that nobody vouches for: a machine that builds plain values and NumPy arrays, and runs nothing.

A pickle is a program, and Python's own unpickler runs it. This one reads the same opcodes (`pickletools` names them and
runs none) and knows how to make numbers, text, bytes, lists, tuples, dicts, sets and arrays. A name of anything else, a
call of anything else, objects, extension codes and persistent ids are refused. What is built is bounded: opcodes, and
the bytes that opcodes can multiply. Keys of dicts and members of sets are plain values, for the hash of a nested
tuple may take for ever.

Values may be shared, so that nested lists can stand for far more than the file's size: a reader of what comes out of
here checks lengths and types level by level before it copies.
"""

import pickletools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from drivetrain.data.readers.hardened_xml import quote, refuse
from drivetrain.data.recordings.unpacking import read_bytes
from drivetrain.types import InputError

MAX_OPCODES = 3_000_000  # an opcode makes one value of up to some 100 bytes
MAX_BUILT = 256 << 20  # bytes of arrays, bytes and sets that are copied from other values
MAX_DIMENSIONS = 4
MAX_BITS = 64  # of an integer
PLAIN = (str, bytes, int, float, bool, type(None))
DTYPE = re.compile(r"[biufSU][0-9]{1,4}")

RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
SCALAR = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
FROM_BUFFER = {"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"}
SETS = {"builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"}
DICTS = {"collections.defaultdict", "collections.OrderedDict"}
FACTORIES = {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("int", "float", "list", "dict")}
BYTES = {"builtins.bytes", "__builtin__.bytes"}  # called without arguments, in old protocols
NAMES = (
    {"numpy.ndarray", "numpy.dtype", "_codecs.encode"}
    | (FACTORIES | SETS | DICTS | BYTES)
    | (RECONSTRUCT | SCALAR | FROM_BUFFER)
)


class _Name(NamedTuple):
    """A name that the pickle refers to: never looked up, only compared."""

    path: str


@dataclass
class _Kind:
    """A dtype in the making: its code, and its byte order once the pickle has told it."""

    code: str
    order: str = "<"

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.code)


@dataclass
class _Machine:
    """The unpickler's stack, the marks on it, its memo, and how many bytes were copied."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    built: int = 0

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("an opcode takes from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        self.stack.append(value := self.pop())
        return value

    def pop_mark(self) -> list[Any]:
        """Everything above the topmost mark."""
        if not self.marks:
            raise ValueError("no mark on the stack")
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def account(self, size: int) -> None:
        self.built += size
        if self.built > MAX_BUILT:
            raise ValueError(f"builds more than {MAX_BUILT >> 20} MiB")


def load(file: str) -> Any:
    """The value that a pickle describes: plain, or packed with xz or gzip as the file's name says.

    Raises:
        InputError: the file cannot be read, is truncated, too large, no pickle, or asks for anything but plain values.
    """
    data = read_bytes(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # old text with an escape that means nothing is damage
        return _run(file, data)


def _run(file: str, data: bytes) -> Any:
    machine, place = _Machine(), 0
    try:
        for count, (opcode, argument, at) in enumerate(pickletools.genops(data)):
            place = at or 0
            if opcode.name == "STOP":
                return machine.pop()
            if count >= MAX_OPCODES:
                raise ValueError(f"more than {MAX_OPCODES} opcodes")
            action = _ACTIONS.get(opcode.name)
            if action is None:
                raise ValueError(f"opcode {opcode.name} is not for plain values")
            action(machine, argument)
    except InputError:
        raise
    except (ValueError, TypeError, OverflowError, LookupError, MemoryError, SyntaxError, Warning) as error:
        words = " ".join(str(error).split())[:200]
        refuse(f"{file}: pickle, byte {place}", ascii(words)[1:-1] or "damaged", "give plain values and arrays alone")
    refuse(file, "a pickle without an end", "restore the file")


# ------------------------------------------------------------------------------------------------------------- calls


def _name(path: str) -> _Name:
    if path not in NAMES:
        raise ValueError(f"refers to {quote(path)}")
    return _Name(path)


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError("a name that is no text")
    machine.stack.append(_name(f"{module}.{name}"))


def _reduce(machine: _Machine, _: Any) -> None:
    """A call: of what makes arrays, dtypes, scalars, sets and bytes, by our own hand."""
    arguments, callee = machine.pop(), machine.pop()
    if not isinstance(callee, _Name) or not isinstance(arguments, tuple):
        raise ValueError("a call of what is no name")
    machine.stack.append(_called(machine, callee.path, arguments))


def _called(machine: _Machine, path: str, arguments: tuple) -> Any:
    match arguments:
        case (_Name("numpy.ndarray"), (0,), bytes()) if path in RECONSTRUCT:
            return np.empty(0)  # its state follows
        case (str(code), *_) if path == "numpy.dtype" and DTYPE.fullmatch(code):
            return _Kind(code)
        case (_Kind() as kind, bytes(raw)) if path in SCALAR:
            return _array(machine, kind, (), raw, fortran=False)[()]
        case (bytes() | bytearray() as raw, _Kind() as kind, tuple(shape), "C" | "F" as order) if path in FROM_BUFFER:
            return _array(machine, kind, shape, bytes(raw), order == "F")
        case (list(items),) if path in SETS:
            machine.account(64 * len(items))
            return {_key(item) for item in items}
        case () if path in SETS:
            return set()
        case () if path in BYTES:
            return b""
        case () | (None,) if path in DICTS:
            return {}
        case (_Name(factory),) if path == "collections.defaultdict" and factory in FACTORIES:
            return {}
        case (str(text), str(encoding)) if path == "_codecs.encode" and encoding in ("latin1", "latin-1"):
            machine.account(len(text))
            return text.encode("latin-1")
    raise ValueError(f"calls {quote(path)} in a way that makes no plain value")


def _build(machine: _Machine, _: Any) -> None:
    """The state of an array or a dtype."""
    state, target = machine.pop(), machine.top()
    match target, state:
        case _Kind(), (int(), str(order), None, None, None, *_) if order in ("<", ">", "|", "="):
            target.order = order
        case np.ndarray(), (int(), tuple(shape), _Kind() as kind, bool() | int() as fortran, bytes() | str() as raw):
            raw = raw.encode("latin-1") if isinstance(raw, str) else raw
            _check_size(machine, kind, shape, raw)
            state = (
                1,
                shape,
                kind.dtype(),
                bool(fortran),
                raw,
            )  # the stubs ask for NumPy's own bool, NumPy for Python's
            target.__setstate__(state)  # type: ignore[arg-type]
        case _:
            raise ValueError("a state that is of no array of numbers or text")


def _array(machine: _Machine, kind: _Kind, shape: tuple, raw: bytes, fortran: bool) -> np.ndarray:
    _check_size(machine, kind, shape, raw)
    return np.frombuffer(raw, kind.dtype()).reshape(shape, order="F" if fortran else "C").copy()


def _check_size(machine: _Machine, kind: _Kind, shape: tuple, raw: bytes) -> None:
    """Refuse a shape that the bytes do not fill, before anything is made of it."""
    size = kind.dtype().itemsize
    for side in shape:
        if type(side) is not int or not 0 <= side < 2**31:
            raise ValueError("an array with an absurd shape")
        size *= side
    if len(shape) > MAX_DIMENSIONS or size != len(raw):
        raise ValueError(f"an array of {len(raw)} bytes where its shape takes {size}")
    machine.account(len(raw))


# ------------------------------------------------------------------------------------------------------- containers


def _key(value: Any) -> Any:
    """A value that may be a key of a dict or a member of a set."""
    flat = isinstance(value, tuple) and all(isinstance(item, PLAIN) for item in value)
    if not flat and not isinstance(value, (*PLAIN, np.generic)):
        raise ValueError("a key that is no plain value")
    return value


def _set_items(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        raise ValueError("items for what is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key)] = value


def _append(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if not isinstance(target, list):
        raise ValueError("items for what is no list")
    target.extend(items)


def _add_items(machine: _Machine, _: Any) -> None:
    items, target = machine.pop_mark(), machine.top()
    if not isinstance(target, set):
        raise ValueError("members for what is no set")
    target.update(_key(item) for item in items)


def _dict(machine: _Machine, _: Any) -> None:
    result: dict[Any, Any] = {}
    _set_items(result, machine.pop_mark())
    machine.stack.append(result)


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine.top(), [key, value])


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def action(machine: _Machine, _: Any) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(items[::-1]))

    return action


# --------------------------------------------------------------------------------------------------- stack and memo


def _push(machine: _Machine, value: Any) -> None:
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise ValueError(f"an integer of {value.bit_length()} bits")
    machine.stack.append(value)


def _get(machine: _Machine, index: Any) -> None:
    if int(index) not in machine.memo:
        raise ValueError(f"nothing is kept under {quote(str(index))}")
    machine.stack.append(machine.memo[int(index)])


def _put(machine: _Machine, index: Any) -> None:
    machine.memo[int(index)] = machine.top()


def _global(machine: _Machine, path: Any) -> None:
    machine.stack.append(_name(str(path).replace(" ", ".", 1)))


def _pop(machine: _Machine, _: Any) -> None:
    if machine.marks and len(machine.stack) == machine.marks[-1]:
        machine.marks.pop()
    else:
        machine.pop()


def _makes(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make())


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE"), _push),
    **dict.fromkeys(("BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"), _push),
    "NONE": _makes(lambda: None),
    "NEWTRUE": _makes(lambda: True),
    "NEWFALSE": _makes(lambda: False),
    "EMPTY_LIST": _makes(list),
    "EMPTY_TUPLE": _makes(tuple),
    "EMPTY_DICT": _makes(dict),
    "EMPTY_SET": _makes(set),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": _pop,
    "POP_MARK": lambda machine, _: machine.pop_mark().clear(),
    "DUP": lambda machine, _: machine.stack.append(machine.top()),
    "LIST": lambda machine, _: machine.stack.append(machine.pop_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "DICT": _dict,
    "FROZENSET": lambda machine, _: machine.stack.append(frozenset(_key(item) for item in machine.pop_mark())),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_mark()),
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: (lambda items: _set_items(machine.top(), items))(machine.pop_mark()),
    "ADDITEMS": _add_items,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda machine, _: _put(machine, len(machine.memo)),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
}
"""What each opcode does; an opcode that is not here is refused."""
