"""Self-play: a driver from an empty map, without any recording (arXiv 2502.03349).

The *cheap* task, which two cores learn in half an hour: goals 20 to 40 m on along the agent's own route, one reward for
all, nothing dropped and nothing noisy. The *full* task: goals anywhere that lanes lead to, by any way, everyone with a
style of its own, some that are odd, maps in variants, features overlooked: a GPU's.
"""

from drivetrain.ending import Lives
from drivetrain.env import Env
from drivetrain.learn.ppo import Ppo
from drivetrain.learn.update import Optimiser
from drivetrain.observe.blur import Blur
from drivetrain.observe.lanes import LaneView
from drivetrain.observe.route import RouteView
from drivetrain.observe.sight import Sight
from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.recipes.quickstart import quickstart
from drivetrain.reward import Reward
from drivetrain.runs.criteria import MostGoals
from drivetrain.runs.run import Asked, Data, Run, Stage
from drivetrain.sim.dynamics.jerk import Jerk
from drivetrain.sim.lane_graph import Graphing
from drivetrain.sim.spawning.anywhere import Anywhere
from drivetrain.sim.spawning.chains import Chains
from drivetrain.sim.spawning.styles import Styles
from drivetrain.sim.towns import Town
from drivetrain.sim.traffic.nobody import Nobody
from drivetrain.types import replace

WORLDS, AGENTS, WINDOW, AGENT_STEPS = 64, 32, 32, 30_000_000
EPOCHS, MINIBATCHES = 3, 8

TOWNS = Data(format="opendrive", source=("datasets/towns/maps",), dataset="build/towns")

NEAR = Sight(agents=6, road=6, route=RouteView(stations=(-4, 0, 4, 8, 12, 20)), errand=True)
"""What matters within a second or two."""

ERRANDS = Reward(
    progress=0.02,
    acceleration=0.0,
    lateral=0.0,
    collision=2.0,
    off_route=2.0,
    off_road=2.0,
    red_light=2.0,
    stop_line=2.0,
    goal=0.5,
    time=0.02,
)
"""Goals, progress towards them, and no free waiting; returns of about one."""


def self_play() -> Run:
    """One policy drives 32 agents in each of 64 worlds on one town, and is judged there and on a town it never saw."""
    updates = -(-AGENT_STEPS // (WORLDS * AGENTS * WINDOW))
    return Run(
        name="self-play",
        data=TOWNS,
        asked=Asked(maps=("Town02",), unseen=("Town01",), town=Town(agents=AGENTS)),
        env=Env(dynamics=Jerk(), traffic=Nobody(), spawning=Anywhere(), ending=Lives(), reward=ERRANDS, observer=NEAR),
        policy=DeepSetsSizes(tokens=32, width=64),
        stages=(
            Stage(
                name="self_play",
                title="Self-play",
                algorithm=Ppo(window=WINDOW, clip=0.2, value_scale=0.5, entropy=0.01, discount=0.98),
                optimiser=Optimiser(learning_rate=1e-3, steps=updates * EPOCHS * MINIBATCHES, final=0.1, clip=0.5),
                criterion=MostGoals(),
                scenes=WORLDS,
                kept=0.25,
                epochs=EPOCHS,
                minibatches=MINIBATCHES,
                agent_steps=AGENT_STEPS,
                evaluate_every=16,
                keep_judged=True,  # those that it may meet again
                checkpoint_every=16,
            ),
        ),
    )


def self_play_anchored() -> Run:
    """Self-play that begins as a clone of recorded drivers and is held near it: what is learnt stays how people drive.

    The recordings are the quickstart's; how many of their seconds are people's driving, `data info` says.
    """
    run, people = self_play(), quickstart()
    (stage,), cloning = run.stages, replace(people.stages[0], recorded=True)
    stage = replace(stage, algorithm=replace(stage.algorithm, anchor=0.075))
    return replace(run, name="self-play-anchored", more=(people.data, *people.more), stages=(cloning, stage))


def self_play_styles() -> Run:
    """The cheap task with a style for each: what its failures, lights and speeding cost is drawn, and shown to it.

    Cars are alike and nobody is odd, so that whatever differs in how agents drive is their conditioning.
    """
    run = self_play()
    styles = Styles(throttle=1.0, wheel=1.0, top_speed=1.0, power=1.0, blind=0.0, brakes=0.0)
    env = replace(run.env, spawning=Anywhere(styles=styles), observer=replace(NEAR, traits=True))
    return replace(run, name="self-play-styles", env=env)


def self_play_anywhere() -> Run:
    """The full task at a size that two cores begin to learn: how far, `benchmarks/results/self-play.md` says."""
    run, steps = self_play(), 1_000_000_000
    (stage,) = run.stages
    updates = -(-steps // (WORLDS * AGENTS * WINDOW))
    optimiser = replace(stage.optimiser, steps=updates * EPOCHS * MINIBATCHES)
    return replace(
        run,
        name="self-play-anywhere",
        asked=replace(run.asked, town=Town(agents=AGENTS, graph=Graphing(), variants=1)),
        env=replace(
            run.env,
            spawning=Anywhere(chains=Chains(), styles=Styles(), length=(0.8, 7.0), width=(0.8, 3.0)),
            ending=Lives(patience=60.0),
            reward=replace(ERRANDS, top_speed=1e4, progress=0.05, overspeed=0.04, time=0.05, reverse=0.2),
            observer=Sight(
                agents=6, road=6, route=LaneView(10), errand=True, traits=True, blur=Blur(road=0.1, lanes=0.1)
            ),
            swept=True,
        ),
        stages=(replace(stage, optimiser=optimiser, agent_steps=steps, evaluate_every=64, checkpoint_every=32),),
    )
