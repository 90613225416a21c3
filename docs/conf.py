"""Configuration of the documentation site; built by ``make docs``."""

from gym_ilrl import __version__

project = "gym_ilrl"
author = "the gym_ilrl authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]

html_theme = "furo"
html_title = f"gym_ilrl {__version__}"
html_static_path: list[str] = []
exclude_patterns: list[str] = []

# Arguments are documented on the class, as in SB3; types stay in the signature, one argument a line.
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # "PPO", not the address of its class
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
