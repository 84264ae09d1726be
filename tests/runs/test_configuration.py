"""A configuration survives its file, and a hostile file builds nothing of its own choosing."""

import json

import pytest

from drivetrain.ending import EVALUATION, TRAINING
from drivetrain.reward import Reward
from drivetrain.runs.configuration import from_json, read_config, to_json
from drivetrain.types import InputError


@pytest.mark.parametrize("component", [TRAINING, EVALUATION, Reward(collision=3.0)])
def test_a_component_survives_its_file(component):
    assert from_json(json.loads(json.dumps(to_json(component))), "config.json") == component


@pytest.mark.parametrize(
    "name", ["os.system", "subprocess.Popen", "drivetrain.runs.configuration.json", "drivetrain..x"]
)
def test_only_components_of_the_package_are_built(name):
    with pytest.raises(InputError, match="class"):
        from_json({"class": name, "args": "true"}, "config.json")


def test_an_unknown_field_is_named():
    with pytest.raises(InputError, match="colour"):
        from_json(to_json(Reward()) | {"colour": 1}, "config.json")


def test_a_missing_and_a_damaged_file_are_one_clear_line(tmp_path):
    with pytest.raises(InputError, match="config.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_config(tmp_path)
