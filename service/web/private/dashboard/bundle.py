"""The scripts of the page as one module: a browser asks for one file instead of thirty.

Each script becomes a function that returns what it exports, after those that it imports from. They
may use two forms, which begin a line: `import { a, b } from "./name.js";`, and `export` before
`const` or `class`. Scripts must not import each other in a circle.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_IMPORT = re.compile(rb'^import (\{[^}]+\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(rb"^export (?=(?:const|class) (\w+))", re.MULTILINE)


def bundle(name: str, read: Callable[[str], bytes]) -> bytes:
    """Return the script `name.js` and those that it needs as one; `read` returns a script."""
    scripts: dict[str, bytes] = {}
    _collect(name, read, scripts)
    return b"".join(_function(script, text) for script, text in scripts.items())


def _collect(name: str, read: Callable[[str], bytes], scripts: dict[str, bytes]) -> None:
    """Add a script to those that it needs."""
    text = read(f"{name}.js")
    for needed in _IMPORT.findall(text):
        other = needed[1].decode()
        if other not in scripts:
            _collect(other, read, scripts)
    scripts[name] = text


def _function(name: str, text: bytes) -> bytes:
    exported = b", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub(b"", _IMPORT.sub(rb"const \1 = from_\2;", text))
    return b"const from_%b = (() => {\n%breturn { %b };\n})();\n" % (name.encode(), body, exported)
