"""Texts of clients, as they are stored."""

from __future__ import annotations

CHARS_MAX = 255


def stored(text: str) -> str:
    """Return the first 255 characters of a text, without blanks at its ends and NUL; maybe ""."""
    plain = text.replace("\0", "") if "\0" in text else text
    # Again after the cut, which may leave a blank at the end.
    return plain.strip()[:CHARS_MAX].rstrip()


def path(sent: str) -> str:
    """Return the path of a page as it is stored, without a query string and a fragment."""
    return stored(sent.partition("?")[0].partition("#")[0])
