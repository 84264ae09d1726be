"""What README and documentation promise is there: files, commands, and the numbers of the code."""

import importlib
import re
from pathlib import Path

import pytest

from drivetrain.cli import COMMANDS
from drivetrain.commands.data import convert
from drivetrain.data.store.converting import Settings
from drivetrain.recipes import RECIPES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
LINKS = [
    (page, link)
    for page in PAGES
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXT[page.name])
    + re.findall(r"literalinclude\} (\S+)", TEXT[page.name])
]
CALLS = sorted(
    {call for text in TEXT.values() for call in re.findall(r"(?m)^[ ]*(?:\.venv/bin/)?drivetrain ([a-z].*)$", text)}
)
VALUES = re.findall(r"(?m)^\|.*?\| ([^|]*?) \| `([a-z_.]+):([A-Za-z_.]+)` \|$", TEXT["problem.md"])


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda part: part.name if isinstance(part, Path) else part)
def test_links_lead_somewhere(page, link):
    assert (page.parent / link).exists()


def test_make_targets_exist():
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    named = {
        name for text in TEXT.values() for name in re.findall(r"(?:^    |^|`)make ([a-z-]+)", text, flags=re.MULTILINE)
    }
    assert {"train", "test"} <= named <= targets


@pytest.mark.parametrize("call", CALLS)
def test_commands_exist(call):
    words = call.split()
    assert words[0] in COMMANDS
    if words[0] == "data":
        assert words[1] in ("convert", "generate", "admit", "mine", "info", "verify", "render", "vocabulary")
    if words[0] == "train":
        file, _, function = words[1].partition(":")
        assert words[1] in RECIPES or file == "my_recipe.py" or f"def {function}(" in (ROOT / file).read_text()


def test_documented_options_of_convert_exist():
    options = set(
        re.findall(r"--([a-z-]+)", next(line for line in TEXT["formats.md"].splitlines() if "data convert" in line))
    )
    known = set(convert.__annotations__) | set(Settings.__annotations__)
    assert {option.replace("-", "_") for option in options} <= known


@pytest.mark.parametrize(("shown", "module", "path"), VALUES, ids=lambda part: str(part))
def test_documented_values_are_the_codes(shown, module, path):
    """The last number of the cell, or of the sentence in it, is the field's default."""
    value = importlib.import_module(f"drivetrain.{module}")
    for name in path.split("."):
        value = getattr(value, name)
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", shown)]
    assert float(value) in numbers, f"{module}:{path} is {value}, the page says {shown}"


def test_enough_values_are_documented():
    assert len(VALUES) >= 30


def test_the_readme_has_its_table_of_figures():
    text = TEXT["README.md"]
    assert 0 < text.index("<!-- figures -->") < text.index("<!-- /figures -->")
