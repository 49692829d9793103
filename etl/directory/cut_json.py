"""Reading a field of a JSON object whose text may be cut off, or invalid further on.

A rejected body is stored as text of up to 8 KiB: its end may be missing, or it may not be JSON at
all. The text is read token by token, up to the end of the object or an unterminated string. The
tokenizer knows only strings, brackets, commas and colons; any other text is one kind of token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

_TOKEN = re.compile(
    r"""
      (?P<string>"(?:[^"\\]++|\\.)*+")
    | (?P<unended>")
    | (?P<structure>[{}\[\],:])
    | (?P<other>[^ \t\n\r"{}\[\],:]++)
    """,
    re.VERBOSE | re.DOTALL,
)
_NESTING = {"{": 1, "[": 1, "}": -1, "]": -1}
_BYTE_ORDER_MARK = "\ufeff"


def field(text: str, name: str) -> str | float | None:
    """Return the value of the object's own field `name` if it is a string, number or boolean.

    `name` consists of letters and underscores. The last of several fields of that name counts, as
    in JSON parsers. None if the field is missing, cut off, null, an object or an array.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    value = None
    # The three tokens before the current one; the first key counts as preceded by a comma.
    separator, key, colon = "", "", ","
    # Without \\u escapes the name is spelled literally, so the text after its last use is skipped.
    last = len(text) if "\\u" in text else text.rfind(name)
    for token in _own_tokens(text):
        if separator == "," and key.startswith('"') and colon == ":":
            if _decoded(key) == name:
                value = _value(token)
        elif token.start() > last and token[0] != ":":
            break
        separator, key, colon = key, colon, token[0]
    return value


def _own_tokens(text: str) -> Iterator[re.Match[str]]:
    """Yield the tokens of the outermost object; of a nested value only the first token."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if depth == 0 and token[0] != "{":
            return
        if depth == 1:
            yield token
        if token.lastgroup == "unended":
            return
        depth += _NESTING.get(token[0], 0)
        if depth == 0:
            return


def _value(token: re.Match[str]) -> str | float | None:
    """Return a token's value; None for a number at the very end, which may be cut off."""
    if token.lastgroup == "other" and token.end() == len(token.string):
        return None
    return _decoded(token[0])


def _decoded(token: str) -> str | float | None:
    try:
        value = orjson.loads(token.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, (str, int, float)) else None
