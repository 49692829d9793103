"""Escape text so that it cannot control a terminal, whoever wrote it.

Escapes, as JSON does: C0 except tab and line feed, DEL, C1, line and paragraph separators,
characters that change the direction of text, tags, and surrogates. JSON therefore stays JSON.
"""

from __future__ import annotations

import re

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)


def escape(text: str) -> str:
    """Return the text with such characters as `\\uXXXX`."""
    return _CONTROLS.sub(_as_json, text)


def _as_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
