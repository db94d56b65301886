# SPDX-License-Identifier: GPL-2.0-only
"""How sphinx makes the site: ``make docs``. No page needs anything from outside, or a server."""
project = "kemu"
copyright = "kemu's authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
html_theme = "furo"
html_title = "kemu"
html_show_sourcelink = False
html_copy_source = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
suppress_warnings = ["ref.python", "myst.xref_missing", "docutils", "misc.highlighting_failure"]
