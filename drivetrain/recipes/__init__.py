"""An experiment is one function that returns a run's whole configuration: a tree of components."""

from drivetrain.recipes.apg import quickstart_apg
from drivetrain.recipes.camera import camera_driver
from drivetrain.recipes.loop import quickstart_loop
from drivetrain.recipes.paper import paper_2_5m, paper_25m, paper_750k
from drivetrain.recipes.quickstart import quickstart, quickstart_gpu
from drivetrain.recipes.self_play import self_play, self_play_anchored, self_play_anywhere, self_play_styles

RECIPES = {
    "quickstart": quickstart,
    "quickstart-gpu": quickstart_gpu,
    "quickstart-loop": quickstart_loop,
    "quickstart-apg": quickstart_apg,
    "camera-driver": camera_driver,
    "self-play": self_play,
    "self-play-anchored": self_play_anchored,
    "self-play-styles": self_play_styles,
    "self-play-anywhere": self_play_anywhere,
    "paper-750k": paper_750k,
    "paper-2.5m": paper_2_5m,
    "paper-25m": paper_25m,
}
"""By the names of `drivetrain train`."""
