"""Texts of clients, as they are stored."""

from __future__ import annotations

CHARS_MAX = 255


def stored(text: str) -> str:
    """Return the first 255 characters of a text, without blanks at its ends and NUL; maybe ""."""
    # Twice, because a cut may end in a blank. Blanks are cut before the limit, not counted to it.
    plain = text.replace("\0", "") if "\0" in text else text
    return plain.strip()[:CHARS_MAX].rstrip()
