"""A recipe from outside the package: loaded by the user's word alone, and refused in one line where it is none."""

import json
import sys

import pytest

from drivetrain.reward import Reward
from drivetrain.runs import configuration
from drivetrain.runs.configuration import from_json, to_json
from drivetrain.runs.recipe_file import load_recipe, names_file
from drivetrain.runs.run import Run, load_run, open_run
from drivetrain.types import InputError

RECIPE = """
from drivetrain.env import Env
from drivetrain.runs.run import Run, Stage
from drivetrain.types import component

@component
class Flat:
    value: float = 1.0

    def __call__(self, events, traits, dt):
        return self.value * dt

class Plain:
    def __call__(self, events, traits, dt):
        return dt

class Derived(Flat):
    pass

def local():
    @component
    class Hidden(Flat):
        pass
    return Run(name="hidden", env=Env(reward=Hidden()), stages=(Stage(),))

def mine():
    return Run(name="mine", env=Env(reward=Flat(2.0)), stages=(Stage(),))

def plain():
    return Run(name="plain", env=Env(reward=Plain()), stages=(Stage(),))

def derived():
    return Run(name="derived", env=Env(reward=Derived()), stages=(Stage(),))

def nothing():
    pass

def broken():
    return 1 / 0
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A recipe's file; what is loaded here is forgotten after the test."""
    monkeypatch.setattr(configuration, "NAMED", named := {})
    monkeypatch.setattr("drivetrain.runs.recipe_file.NAMED", named)
    path = tmp_path / "flat_recipe.py"
    path.write_text(RECIPE)
    yield path
    sys.modules.pop("flat_recipe", None)


def test_words_that_name_a_file():
    assert names_file("my/recipe.py:mine") and names_file("recipe.py")
    assert not names_file("quickstart") and not names_file("paper-2.5m")


def test_a_run_of_it_comes_back_where_the_file_is_named_again(file, tmp_path):
    run = load_recipe(f"{file}:mine")
    assert run.env.reward.value == 2.0
    open_run(run, tmp_path / "run", resume=False)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["run"]["env"]["reward"] == {"class": "flat_recipe.Flat", "value": 2.0}
    assert load_run(tmp_path / "run") == run
    again = load_recipe(f"{file}:mine")  # another process would have another class
    assert load_run(tmp_path / "run") == again


def test_what_a_config_names_is_not_imported(file, tmp_path, monkeypatch):
    data = to_json(load_recipe(f"{file}:mine"))
    configuration.NAMED.clear()
    sys.modules.pop("flat_recipe")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"flat_recipe\.Flat.*--recipe FILE"):
        from_json(data, "config.json")
    assert "flat_recipe" not in sys.modules


@pytest.mark.parametrize("name", ["flat_recipe.mine", "flat_recipe.Plain", "flat_recipe.sys", "flat_recipe."])
def test_only_components_of_it_are_built(file, name):
    load_recipe(f"{file}:mine")
    with pytest.raises(InputError, match="class"):
        from_json({"class": name}, "config.json")


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("none", "no such function"),
        ("", "no such function"),
        ("RECIPE", "no such function"),
        ("nothing", r"returns NoneType \(return a"),
        ("broken", "raises ZeroDivisionError"),
        ("plain", r"env\.reward: Plain is not a component"),
        ("derived", r"env\.reward: Derived is not a component"),
        ("local", r"env\.reward: Hidden is of flat_recipe \(put it at the top"),
    ],
)
def test_what_is_no_recipe_is_named_in_one_line(file, function, named):
    with pytest.raises(InputError, match=rf"flat_recipe\.py: .*{named}") as told:
        load_recipe(f"{file}:{function}")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("text", "named"), [("import nowhere_at_all", "ModuleNotFoundError"), ("(", "SyntaxError")])
def test_a_file_that_cannot_be_loaded_is_named_and_forgotten(file, text, named):
    file.write_text(text)
    with pytest.raises(InputError, match=rf"flat_recipe\.py: raises {named}"):
        load_recipe(f"{file}:mine")
    assert "flat_recipe" not in sys.modules and not configuration.NAMED


def test_a_file_that_is_not_there(file, tmp_path):
    with pytest.raises(InputError, match=r"absent\.py: no such file"):
        load_recipe(f"{tmp_path / 'absent.py'}:mine")


@pytest.mark.parametrize("taken", ["json", "drivetrain"])
def test_the_name_of_another_module_is_not_taken(file, tmp_path, taken):
    module = sys.modules[taken]
    other = tmp_path / f"{taken}.py"
    other.write_text(RECIPE)
    with pytest.raises(InputError, match="rename the file"):
        load_recipe(f"{other}:mine")
    assert sys.modules[taken] is module


def test_the_packages_own_components_need_no_file():
    assert from_json(to_json(Run(name="own")), "config.json").env.reward == Reward()
