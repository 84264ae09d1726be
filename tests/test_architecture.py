"""The shape of the house, read from its files: who may import whom, what every file has, what none may use."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "drivetrain"
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [file.relative_to(PACKAGE).as_posix() for file in FILES]

ORDER = [
    "__init__",
    "progress",
    "records",
    "traits",
    "types",
    "atomic",
    "parallel",
    "geometry",
    "cut_cross_entropy",
    "data",
    "sim",
    "events",
    "reward",
    "ending",
    "camera",
    "perception",
    "observe",
    "env",
    "policy",
    "rollout",
    "learn",
    "fleet",
    "banks",
    "drivers",
    "view",
    "adapters",
    "evaluate",
    "runs",
    "recipes",
    "bench",
    "studies",
    "commands",
    "cli",
    "__main__",
]
"""A file imports only from its own room and from rooms before it. `view` draws what it is given: see VIEW."""

ORDER_OF_DATA = ["recordings", "readers", "generating", "roads", "routes", "compile", "store"]
"""The rooms of `data` in the order of its flow: readers draw their own lanes, and need nothing of `roads`."""

VIEW = {"types", "data", "sim"}
"""The page knows what a scene is, and nothing of environments, policies or learning."""

BANNED_NAMES = {"utils", "util", "common", "misc", "helpers", "helper", "core"}
BANNED_IMPORTS = {"pickle", "cloudpickle", "marshal", "shelve", "dill", "joblib"}
NETWORK = {"socket", "ssl", "ftplib", "smtplib", "requests", "httpx", "aiohttp", "urllib3", "xmlrpc", "telnetlib"}
NETWORK |= {"http", "urllib.request", "socketserver", "webbrowser"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "hasattr"}
DATA_MAY_IMPORT = {"types", "atomic"}
LEAST_WITHOUT_TEST = {"__init__.py", "__main__.py"}
OF_THE_WHOLE = {
    "test_architecture.py",
    "test_deploy.py",
    "test_readme.py",
    "test_examples.py",
    "test_survival.py",
    "test_quickstart.py",
}


def imports(file: Path) -> list[str]:
    """Dotted names of everything that a file imports, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found += [node.module or ""]
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def room(path: Path) -> str:
    """The room of a file: its folder, or itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def rooms_imported(file: Path) -> set[str]:
    """The rooms that a file imports from."""
    parts = [name.split(".") for name in imports(file)]
    return {part[1] for part in parts if part[0] == "drivetrain" and len(part) > 1 and known(part[1])}


def known(name: str) -> bool:
    """Whether a name is a room, and not something that the package itself defines."""
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def test_every_room_has_its_place_in_the_order():
    assert {room(file) for file in FILES} <= set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_imports_point_one_way(file):
    here = room(file)
    before = set(ORDER[: ORDER.index(here)])
    wrong = rooms_imported(file) - before - {here}
    assert not wrong, f"{here} may not import {sorted(wrong)}"


@pytest.mark.parametrize("file", [file for file in FILES if room(file) == "view"], ids=lambda file: file.name)
def test_view_draws_what_it_is_given(file):
    assert rooms_imported(file) <= VIEW | {"view"}


@pytest.mark.parametrize("file", [file for file in FILES if room(file) == "data"], ids=lambda file: file.name)
def test_data_calls_no_jax(file):
    assert rooms_imported(file) <= DATA_MAY_IMPORT | {"data"}
    assert not {name.split(".")[0] for name in imports(file)} & {"jax", "jaxlib", "equinox", "optax"}


@pytest.mark.parametrize("file", [file for file in FILES if room(file) == "data"], ids=lambda file: file.name)
def test_imports_within_data_point_one_way(file):
    parts = file.relative_to(PACKAGE / "data").parts
    if parts == ("__init__.py",):
        assert not imports(file)
        return
    before = ORDER_OF_DATA[: ORDER_OF_DATA.index(parts[0]) + 1]
    names = [name.split(".") for name in imports(file)]
    assert {name[2] for name in names if name[:2] == ["drivetrain", "data"] and len(name) > 2} <= set(before)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_nothing_runs_foreign_code_or_talks_to_the_network(file):
    names = set(imports(file))
    tops = {name.split(".")[0] for name in names}
    assert not tops & BANNED_IMPORTS
    allowed = {"view/serve.py": {"http"}, "fleet/generation.py": {"socket"}}.get(
        file.relative_to(PACKAGE).as_posix(), set()
    )
    assert not (tops | names) & (NETWORK - allowed)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED_CALLS, f"{file}:{node.lineno}: {node.func.id}"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_every_file_says_what_it_is_under_a_telling_name(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert not {part.removesuffix(".py") for part in file.relative_to(PACKAGE).parts} & BANNED_NAMES


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_no_bag_of_keywords(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.args.kwarg is None, f"{file}:{node.lineno}: **{node.args.kwarg.arg}"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_files_and_functions_stay_readable(file):
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, "a file that long is two files"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 70, f"{file}:{node.lineno}: {node.name} is too long"


def test_every_file_is_tested():
    """By a mirrored test file, by name in a test, or as a part of a file of its own room that is tested."""
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    mirrored = {test.relative_to(ROOT / "tests").as_posix() for test in tests}
    named = {name for test in tests for name in imports(test)}
    module = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in FILES}

    def is_tested(file: Path) -> bool:
        path = file.relative_to(PACKAGE)
        return path.with_name(f"test_{path.name}").as_posix() in mirrored or module[file] in named

    waiting = [file for file in FILES if file.name in LEAST_WITHOUT_TEST or is_tested(file)]
    tested = set(waiting)
    while waiting:
        whole = waiting.pop()
        parts = set(imports(whole))
        found = {file for file in FILES if module[file] in parts and room(file) == room(whole)} - tested
        tested |= found
        waiting += found
    assert not [path.relative_to(PACKAGE).as_posix() for path in FILES if path not in tested]


def test_tests_mirror_the_package():
    for test in (ROOT / "tests").rglob("test_*.py"):
        path = test.relative_to(ROOT / "tests")
        assert known(path.parts[0].removeprefix("test_").removesuffix(".py")) or path.parts[0] in OF_THE_WHOLE


def test_no_committed_lock_names_an_index():
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text and "--index" not in text and "--find-links" not in text
        assert all("sha256:" in block for block in text.split("\n\n") if "==" in block)
