"""A policy drives the same whether its run, its checkpoint or its exported folder is named; damage gives one line."""

import json
import shutil
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import drivetrain
from drivetrain.banks.part import Part
from drivetrain.commands import evaluate
from drivetrain.commands.export import export_policy
from drivetrain.drivers.greedy import Greedy
from drivetrain.rollout import drive
from drivetrain.runs.checkpoints import save_checkpoint
from drivetrain.runs.run import open_run
from drivetrain.runs.stage import Best
from drivetrain.runs.trained import checkpoint_of, export
from drivetrain.types import InputError

FIGURE = {"value": 0.125, "low": 0.05, "high": 0.25, "n": 8}
ENTRY = {"failure_rate": FIGURE, "scenarios": 8, "groups": 2, "interval": "bootstrap", "dt": 0.2, "box_scale": 1.0}
FACTS = {
    "data": {"splits": {"train": {"admitted": 4, "recordings": 2}}, "sources": ["drawn"], "licences": ["CC0"]},
    "parameters": 1234,
}


@cache
def moved(architecture, env):
    """A policy that is not as it was built."""

    @jax.jit
    def build(key):
        policy = architecture.build(env, key)
        return jax.tree.map(lambda leaf: leaf + 0.1 * jnp.sin(jnp.arange(leaf.size).reshape(leaf.shape)), policy)

    return build(jax.random.key(7))


@pytest.fixture
def trained(run, tmp_path):
    """A run's folder as training leaves it, and its policy."""
    folder, policy = tmp_path / "run", moved(run.policy, run.env)
    open_run(run, folder, resume=False)
    save_checkpoint(folder / "checkpoints" / "bc_ppo", 3, Best(policy), {"done": True})
    (folder / "evaluation.json").write_text(json.dumps({"idm": ENTRY, "bc_ppo": ENTRY}))
    (folder / "facts.json").write_text(json.dumps(FACTS))
    return folder, policy


def test_it_drives_the_same_from_everywhere(run, trained, dataset, tmp_path):
    folder, policy = trained
    out = export(folder, tmp_path / "out" / "policy")
    bank = Part((str(dataset),), "test").whole.bank
    driven = jax.jit(lambda driver: drive(run.env, bank, driver, 1, 20, jax.random.key(0)))
    wanted = driven(Greedy(policy, run.env.dynamics))
    for place in (folder, checkpoint_of(folder), out, str(out)):
        loaded = drivetrain.load_policy(place)
        assert loaded.run == run and loaded.stage == "bc_ppo"
        jax.tree.map(np.testing.assert_array_equal, driven(loaded.driver), wanted)
    assert np.ptp(wanted.speed) > 0.1  # it does something


def test_the_folder_is_as_model_hubs_expect_and_its_card_says_what_was_measured(trained, tmp_path):
    folder, _ = trained
    out = export(folder, tmp_path / "policy")
    assert sorted(file.name for file in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: drivetrain\n") and card == drivetrain.load_policy(out).card
    assert "| Learning | 12.5 % (5.0 to 25.0) | – | – | – |" in card and "| IDM | 12.5 %" in card
    assert "On 8 test episodes from 2 groups" in card and "1.234k parameters" in card
    assert "4 drives of 2 recordings. Source: drawn. Licence of the data: CC0." in card


def test_the_command_writes_it_and_evaluate_takes_it(run, trained, tmp_path, capsys):
    folder, policy = trained
    export_policy(str(folder), str(tmp_path / "policy"))
    assert capsys.readouterr().out == f"{tmp_path / 'policy'}\n"
    env, driver, _ = evaluate.driver(str(tmp_path / "policy"))
    assert env == run.env
    jax.tree.map(np.testing.assert_array_equal, driver.policy, policy)


def test_weights_from_before_the_evaluation_have_no_figures(trained, tmp_path):
    folder, policy = trained
    older = save_checkpoint(folder / "checkpoints" / "bc_ppo", 2, Best(policy), {"done": False})
    card = drivetrain.load_policy(export(older, tmp_path / "policy")).card
    assert "Not at all" in card and "12.5 %" not in card


@pytest.fixture
def exported(trained, tmp_path):
    return export(trained[0], tmp_path / "policy")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md"])
def test_a_missing_file_is_named(exported, name):
    (exported / name).unlink()
    with pytest.raises(InputError, match=rf"{name}"):
        drivetrain.load_policy(exported)


def test_a_flipped_bit_is_noticed(exported):
    file = exported / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"model\.safetensors: sha256"):
        drivetrain.load_policy(exported)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config["model"].pop("sha256"), "no sha256"),
        (lambda config: config.update(model=None), "no sha256"),
        (lambda config: config["run"]["policy"].update(width=9), "belongs to another configuration"),
        (lambda config: config["run"].update({"class": "os.system"}), "not a component of drivetrain"),
    ],
)
def test_a_configuration_that_is_not_its_own_is_refused(exported, change, said):
    config = json.loads((exported / "config.json").read_text())
    change(config)
    (exported / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=said):
        drivetrain.load_policy(exported)


def test_a_configuration_that_is_no_object_is_refused(exported):
    (exported / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config\.json: not an object"):
        drivetrain.load_policy(exported)


def test_nothing_is_written_over_and_nothing_half(trained, tmp_path):
    folder, _ = trained
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").touch()
    with pytest.raises(InputError, match=r"taken: not empty"):
        export(folder, tmp_path / "taken")
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(InputError, match="train first"):
        export(folder, tmp_path / "new")
    with pytest.raises(InputError, match="no such run"):
        drivetrain.load_policy(tmp_path / "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "taken"]
    with pytest.raises(AttributeError, match="load_polcy"):
        drivetrain.load_polcy  # noqa: B018
