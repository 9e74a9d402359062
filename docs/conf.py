"""How Sphinx builds the documentation; it needs no network and imports nothing of the package."""

import re
from pathlib import Path

_package = Path(__file__).parent.parent / "p2pchat" / "__init__.py"
_version = re.search(r'^__version__ = "([^"]+)"', _package.read_text("utf-8"), re.MULTILINE)
assert _version is not None

project = "p2pchat"
author = "the p2pchat developers"
version = release = _version[1]
copyright = "the p2pchat developers"
exclude_patterns = ["_build"]
highlight_language = "none"
html_theme = "alabaster"
html_theme_options = {"description": "Two people behind NATs talk directly.", "page_width": "65em"}
html_show_sphinx = False
