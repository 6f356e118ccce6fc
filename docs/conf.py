"""How Sphinx builds these pages: `sphinx-build -W docs site`."""

from charrnn_core import __version__

project = "charrnn"
author = "the authors of charrnn"
copyright = author
release = version = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"charrnn {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_copyright = html_copy_source = False
exclude_patterns = ["site"]
# Pages of the repository that are shown here too link to what only a checkout has.
suppress_warnings = ["myst.xref_missing"]
