"""Sizes of policies: one for CPUs, and the three of the Zoox paper (0.75, 2.5 and 25 million parameters).

The paper's grow through their attention dimensions. Counts are with the PAPER observation and two action columns.
"""

from drivetrain.policy.deep_sets import DeepSetsSizes
from drivetrain.policy.perceiver import PerceiverSizes
from drivetrain.policy.point import PointHead
from drivetrain.policy.separate import Separate

POOLED = DeepSetsSizes(tokens=64, width=128)
"""For CPUs: 0.15 million parameters with the SMALL observation."""

TINY = PerceiverSizes(width=48, heads=2, latents=2, blocks=1, chunk=11)
"""Attention for CPUs: 0.13 million parameters with the SMALL observation, 1.3 MFLOP an agent-step."""

P0_75M = PerceiverSizes(width=104, heads=4, latents=4, social=2, blocks=2)
P2_5M = PerceiverSizes(width=192, heads=8, latents=4, social=2, blocks=2)
P25M = PerceiverSizes(width=608, heads=8, latents=4, social=2, blocks=2)

WIDE = Separate(
    actor=DeepSetsSizes(tokens=64, width=1024, critic=False),
    critic=DeepSetsSizes(tokens=64, width=1024, blocks=0, head=PointHead()),
)
"""For self-play on GPUs: an actor and a critic of three layers of 1024 each over sets pooled to 64 features (the sizes
of Cusumano-Towner et al. 2025, arXiv 2502.03349, which says 3 + 3 million): 2.4 and 3.4 million with the ANYWHERE
observation.
"""
