from drivetrain import __version__

project = "Drivetrain"
author = "The Drivetrain Authors"
copyright = "The Drivetrain Authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"Drivetrain {version}"
html_show_sphinx = False
