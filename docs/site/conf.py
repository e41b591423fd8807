"""How Sphinx makes the site; ``tools/build_docs.py`` runs it. Nothing is fetched while it builds or is read."""

from blockcore import __version__

project = "blockcore"
author = "The blockcore authors"
copyright = "2026 The blockcore authors"  # Sphinx's name for it
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["site"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"blockcore {__version__}"
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"npt.ArrayLike": "ArrayLike"}
napoleon_use_ivar = True
napoleon_attr_annotations = False
