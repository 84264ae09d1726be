"""What the Zoox paper publishes of scaling ("Scaling Is All You Need: Autonomous Driving with JAX-Accelerated RL",
arXiv 2312.15122, version 2): the tables of figure 5, and what the text and appendix D say of curves.

Their checkpoints are those with the fewest failures on the very set that is reported; no seeds and no intervals are
given. What they do not print is not here: figure 6's curves have no numbers.
"""

SOURCE = "arXiv 2312.15122, version 2"
MODELS = ("0.75M", "2.5M", "25M")
HOURS = (600.0, 2000.0, 6000.0)
STEPS = 2_500_000_000

FAILURE: tuple[tuple[float | None, ...], ...] = (
    (0.0312, 0.0227, 0.0138),
    (0.0192, 0.0119, 0.0114),
    (None, 0.0135, 0.0088),
)
"""Figure 5a: the least failure rate on their evaluation set, a row a model, a column a data set."""

GPU_HOURS: tuple[tuple[float | None, ...], ...] = (
    (345.0, 333.0, 342.0),
    (822.0, 975.0, 805.0),
    (None, 16118.0, 18476.0),
)
"""Figure 5b: of reinforcement learning."""

CURVES = (
    "Their figure 6: failure falls all along in every setting, 0.88 % is reached at 2.2 billion steps, and progress "
    "ends at about 120 % in all."
)
ABLATION = (
    "Their appendix D (2.5M, 6000 h): without pre-training about 2 % failure after 2.5 billion steps, which the "
    "pre-trained policy has after 0.5; progress of about 120 % after 2.5 billion steps, instead of 0.5."
)
