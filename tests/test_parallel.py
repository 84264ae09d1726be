"""Scenes shared out among devices: a process with two of them learns what one with one learns.

Those with two run in a process of their own (`on_two_devices`): how many there are is settled when JAX starts.
"""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes
from policies import ENV, recurrent, table

from drivetrain.fleet import group as group_module
from drivetrain.fleet.group import Fleet, Group
from drivetrain.fleet.local import begin, losses, update
from drivetrain.learn.league import League
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.threshold import Threshold
from drivetrain.learn.update import Learning, Optimiser
from drivetrain.parallel import (
    agreed,
    check_even,
    fetched,
    leads,
    leave,
    left,
    mesh,
    on_each,
    on_one,
    own_part,
    own_shared_out,
    shared_out,
    shares,
)
from drivetrain.sim.building import make_bank
from drivetrain.types import InputError, replace

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import test_parallel
test_parallel.on_two_devices(sys.argv[1])
"""
JOINED = """
import sys
from drivetrain.parallel import join
join(sys.argv[3], 2, int(sys.argv[2]))
import test_parallel
test_parallel.of_two_processes(sys.argv[1], int(sys.argv[2]))
"""
LEARNING = Learning(
    Ppo(window=6),
    Optimiser(learning_rate=1.0, clip=1e9, epsilon=1.0),  # no step's direction hangs on a gradient's last digit
    scenes=4,
    minibatches=1,  # then the order of steps is nothing
)
ONLY = jnp.zeros(1, int)


CARS = (scenes.along_x(1.75, 20.0), scenes.along_x(8.75, 90.0))


def among_past_ones() -> dict[str, np.ndarray]:
    """Two updates of a league, which begins with policies that were never trained: what is learnt, and who is kept."""
    bank = make_bank([scenes.scenario(scenes.straight_road(agents=CARS, steps=24))], 0.2, controlled=2)
    learning = replace(LEARNING, league=League(size=2, share=0.5, every=1))
    train = begin(ENV, learning, table(0.5), bank, ONLY, (jax.random.key(1), jax.random.key(2)))
    tilted = [
        jnp.stack([logits + jnp.arange(logits.size), logits - jnp.arange(logits.size)]) for logits in table().logits
    ]
    train = replace(train, past=on_each(replace(train.past, logits=tuple(tilted))))
    said = {}
    for number in range(2):
        train, *_ = update(ENV, learning, bank, ONLY, train)
        said[f"position {number}"] = np.array(train.carry.state.agents.position)  # a copy: what is trained is donated
        said[f"past {number}"] = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(train.past)])
    return said


def above_a_threshold() -> dict[str, np.ndarray]:
    """The policy, what a threshold remembers and the figures after two updates, by name."""
    bank = make_bank([scenes.scenario(scenes.straight_road(agents=CARS, steps=24))], 0.2)
    learning = replace(LEARNING, threshold=Threshold(share=0.9, rate=0.9))
    train = begin(ENV, learning, recurrent(jax.random.key(0)), bank, ONLY, (jax.random.key(1), jax.random.key(2)))
    for _ in range(2):
        train, _, figures = update(ENV, learning, bank, ONLY, train)
    return {
        name: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
        for name, tree in (("policy", train.policy), ("sieve", train.sieve), ("figures", figures))
    }


def learnt() -> dict[str, np.ndarray]:
    """What one update gives, and what is said of some episodes, by name."""
    bank = make_bank([scenes.scenario(scenes.straight_road(agents=CARS, steps=24))], 0.2)
    episodes, policy = jnp.arange(2), recurrent(jax.random.key(0))
    train = begin(ENV, LEARNING, policy, bank, episodes, (jax.random.key(1), jax.random.key(2)))
    train, gathered, figures = update(ENV, LEARNING, bank, episodes, train)
    train, *_ = update(ENV, LEARNING, bank, episodes, train)
    known = jnp.array([1.0, 1.0, 1.0, 0.0])
    weight, sums = losses(ENV, LEARNING.algorithm, bank, train.policy, jnp.array([0, 1, 0, 0]), known)
    said = {
        "policy": jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(train.policy)]),
        "moved": jnp.stack(
            [jnp.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (train.policy, policy)), strict=True)]
        ),
        "time": train.carry.state.time,
        "position": train.carry.state.agents.position,
        "gathered": jnp.stack(jax.tree.leaves(gathered)),
        "learnt": jnp.stack(jax.tree.leaves(figures)),
        "weight": weight,
        "sums": jnp.stack(jax.tree.leaves(sums)),
    }
    assert len(train.carry.state.time.sharding.device_set) == len(train.policy.first.sharding.device_set) == mesh().size
    return {name: np.asarray(value) for name, value in fetched(said).items()}


def apart(fleet: Fleet) -> np.ndarray:
    """The policy after two updates of a group, all in one row."""
    bank = on_each(make_bank([scenes.scenario(scenes.straight_road(agents=CARS, steps=24))], 0.2))
    episodes, policy = jnp.arange(2), recurrent(jax.random.key(0))
    train = begin(ENV, LEARNING, policy, bank, episodes, (jax.random.key(1), jax.random.key(2)))
    with closing(Group(fleet)) as group:
        for _ in range(2):
            train, *_ = group.update(ENV, LEARNING, bank, episodes, train)
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(train.policy)])


def on_a_device_of_its_own() -> dict[str, np.ndarray]:
    """A group whose actors share the learner's devices; then one that has the last device to itself."""
    shared = apart(Fleet(actors=1, synchronous=True))
    first, second = jax.devices()
    everywhere = on_each(jnp.arange(3))
    assert (
        on_one(everywhere, second).unsafe_buffer_pointer()
        == everywhere.addressable_shards[1].data.unsafe_buffer_pointer()
    )
    leave(1)
    assert left() == [second] and mesh().devices.tolist() == [first]
    moved = on_one(on_each(jnp.arange(3)), second)
    assert moved.devices() == {second} and moved.tolist() == [0, 1, 2]
    driven = []
    gathered = group_module.gather_window
    group_module.gather_window = lambda *given: driven.append(gathered(*given)) or driven[-1]
    own = apart(Fleet(actors=1, synchronous=True, devices=1))
    assert len(driven) == 2 and driven[0][1].id.devices() == {second}
    try:
        leave(2)
    except InputError as error:
        return {"shared": shared, "own": own, "refused": np.array(str(error))}
    raise AssertionError("no device was left to the learner")


def of_two_processes(folder: str, rank: int) -> None:
    """Runs in two processes of one device each, which join: the fused program, then a group of each with one actor."""
    assert mesh().size == 2 and len(mesh().local_devices) == 1 and leads() == (rank == 0)
    whole = jnp.arange(4)
    assert own_part(shared_out(whole)).tolist() == [2 * rank, 2 * rank + 1]
    shapes = jax.eval_shape(lambda: (shared_out(jnp.arange(4)), on_each(jax.random.key(0))))  # of a checkpoint
    assert shapes[0].shape == (4,) and shapes[1].shape == ()
    together = own_shared_out(whole[2 * rank : 2 * rank + 2])
    assert fetched(together).tolist() == whole.tolist()
    keys = own_shared_out(jax.random.split(jax.random.key(0), 4)[2 * rank : 2 * rank + 2])
    assert (jax.random.key_data(fetched(keys)) == jax.random.key_data(jax.random.split(jax.random.key(0), 4))).all()
    said = learnt() | {"apart": apart(Fleet(groups=2, actors=1, synchronous=True))}
    np.savez(Path(folder, f"joined-{rank}.npz"), **said)
    agreed(0)
    os._exit(0)  # whoever says goodbye to a coordinator that has left is aborted


def on_two_devices(folder: str) -> None:
    """Runs in a process of its own."""
    assert mesh().size == 2 and shares(3) == 4 and shares(4) == 4
    refused = []
    for rows, use in ((3, check_even), (3, lambda rows: shared_out(jnp.zeros(rows)))):
        try:
            use(rows)
        except InputError as error:
            refused.append(str(error))
    check_even(4)
    halves = [np.asarray(shard.data).tolist() for shard in shared_out(jnp.arange(4)).addressable_shards]
    Path(folder, "said.json").write_text(json.dumps({"refused": refused, "halves": halves}))
    np.savez(Path(folder, "learnt.npz"), **learnt())
    np.savez(Path(folder, "among.npz"), **among_past_ones())
    np.savez(Path(folder, "above.npz"), **above_a_threshold())
    np.savez(Path(folder, "apart.npz"), **on_a_device_of_its_own())


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """What each of two processes learnt."""
    folder = tmp_path_factory.mktemp("joined")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", JOINED, str(folder), str(rank), address],
            env={**os.environ, "PYTHONPATH": paths},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [(process.communicate(timeout=600)[1], process.returncode) for process in processes]
    assert [code for _, code in ended] == [0, 0], ended[0][0][-3000:] + ended[1][0][-3000:]
    return [dict(np.load(folder / f"joined-{rank}.npz")) for rank in range(2)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    said = json.loads((folder / "said.json").read_text())
    return said, dict(np.load(folder / "learnt.npz")), dict(np.load(folder / "among.npz")), folder


def test_scenes_that_do_not_come_out_even_are_refused(two):
    said, *_ = two
    assert said["refused"] == ["scenes: 3 on 2 devices (choose a multiple)"] * 2
    assert sorted(said["halves"]) == [[0, 1], [2, 3]]


def test_two_learners_of_half_the_scenes_are_one_with_all(two):
    """Moments, mean gradient and figures are over both: after two updates the policies are the same."""
    _, both, *_ = two
    one = learnt()
    assert mesh().size == 1
    assert one["moved"].min() > 1e-5  # something was learnt, by every part
    for name, value in one.items():
        np.testing.assert_allclose(both[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_two_processes_that_join_learn_what_one_learns(joined):
    """The mean gradient, and nothing else, goes between them: both have the same, and it is what one process has."""
    one = learnt()
    one["apart"] = one["policy"]
    for said in joined:
        for name, value in one.items():
            np.testing.assert_allclose(said[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(joined[0]["policy"], joined[1]["policy"])


def test_what_is_above_a_threshold_is_that_of_all_learners(two):
    """The largest advantage is one scene's; how many are left differs between the learners."""
    both, one = dict(np.load(two[-1] / "above.npz")), above_a_threshold()
    assert 0.0 < one["sieve"][1] < 1.0
    for name, value in one.items():
        np.testing.assert_allclose(both[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_scene_meets_the_same_past_policy_wherever_it_is_driven(two):
    one = among_past_ones()
    assert np.abs(one["position 0"][0] - one["position 0"][1]).max() > 0.1
    for name, value in one.items():
        np.testing.assert_allclose(two[2][name], value, rtol=1e-4, atol=1e-4, err_msg=name)


def test_a_group_learns_the_same_whether_its_actor_shares_the_learners_devices_or_has_its_own(two):
    *_, folder = two
    apart, fused = dict(np.load(folder / "apart.npz")), learnt()["policy"]
    for name in ("shared", "own"):
        np.testing.assert_allclose(apart[name], fused, rtol=1e-4, atol=1e-5, err_msg=name)
    assert str(apart["refused"]) == "fleet.devices: 2 of 2 devices (leave one to the learner, or set 0)"
