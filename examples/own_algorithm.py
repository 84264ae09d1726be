"""An algorithm of your own, REINFORCE (Williams 1992): drivetrain train examples/own_algorithm.py:mine."""

import jax
import jax.numpy as jnp

from drivetrain.learn.algorithm import by_sequence, cut, unroll
from drivetrain.learn.ppo import Experience, Ppo
from drivetrain.learn.returns import discounted_returns
from drivetrain.policy.base import remembers
from drivetrain.runs.run import Run, Stage
from drivetrain.types import component


@component
class Reinforce(Ppo):
    """PPO's windows of rollout and its normalisation, but no critic and no clip; a return ends with its window."""

    def prepare(self, env, policy, bank, segment, key):
        """The discounted return of every step."""
        steps = segment.steps
        going = self.discount * ~(steps.terminated | steps.truncated)
        gain = jax.vmap(discounted_returns, 1, 1)(steps.reward, going)
        return Experience(cut(policy, segment), *by_sequence((steps.log_prob, gain, gain), remembers(policy)))

    def loss(self, env, policy, bank, batch, moments, key):
        """Mean of −log π · G, where G is less the minibatch's mean and in its deviations."""
        log_prob, _ = unroll(policy, batch.steps, key, lambda distribution, action: distribution.log_prob(action))
        gain = jnp.where(batch.steps.mask, (batch.advantage - moments.mean) / moments.deviation, 0.0)
        loss = -jnp.sum(log_prob * gain) / jnp.maximum(jnp.sum(batch.steps.mask), 1)
        return loss, loss

    def describe_loss(self, learnt):
        """What the journal says."""
        return {"loss": float(learnt)}


def mine() -> Run:  # noqa: D103
    return Run(name="own-algorithm", stages=(Stage(name="reinforce", title="REINFORCE", algorithm=Reinforce()),))
