"""Text that cannot drive a terminal, whoever wrote it.

Escaped as JSON would: C0 but tab and line feed, DEL, C1, line and paragraph separators, what turns
the direction of text, tags, and surrogates. So JSON stays JSON.
"""

from __future__ import annotations

import re

_DRIVES = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)


def harmless(text: str) -> str:
    """The text with such characters escaped."""
    return _DRIVES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
