"""Recognise bots by their user agent, with the maintained list of crawler-user-agents.

Bots are crawlers, link previews, monitors, scanners and headless browsers. These are not bots:
- user agents that the list tags only as an HTTP library (curl, python-requests, okhttp ...): the
  server of a shop calls the collector with one;
- people in a messenger's in-app browser, whose user agent ends in the messenger's name;
- empty user agents.

Most patterns of the list are plain words. Searching for them with `in` is several times faster than
one regular expression, so a flood of invented user agents costs less.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from service.collector.user_agents import CHARS_MAX

_CACHED_MAX = 1024
_NOT_A_BOT_TAGS = {"http-library"}
# The user agent of their link previews begins with the name, that of their browsers with "Mozilla".
_MESSENGERS = {"WhatsApp", "Viber"}

_ESCAPED = re.compile(r"\\(\W)")
_METACHARACTER = re.compile(r"[.^$*+?{}\[\]\\|()]")


class _Signatures(NamedTuple):
    words: tuple[str, ...]
    expression: re.Pattern[str]


def is_bot(user_agent: str) -> bool:
    """Return whether the first 512 characters of the user agent match a known bot."""
    return _matches(user_agent[:CHARS_MAX])


@lru_cache(maxsize=_CACHED_MAX)
def _matches(user_agent: str) -> bool:
    words, expression = _signatures()
    return any(word in user_agent for word in words) or bool(expression.search(user_agent))


@cache
def _signatures() -> _Signatures:
    patterns = list(_bot_patterns())
    expressions = [pattern for pattern in patterns if not _is_word(pattern)]
    return _Signatures(
        words=tuple(_ESCAPED.sub(r"\1", pattern) for pattern in patterns if _is_word(pattern)),
        expression=re.compile("|".join(f"(?:{pattern})" for pattern in expressions)),
    )


def _bot_patterns() -> Iterator[str]:
    for entry in CRAWLER_USER_AGENTS_DATA:
        if set(entry["tags"]) != _NOT_A_BOT_TAGS:
            pattern = entry["pattern"]
            yield f"^{pattern}" if pattern in _MESSENGERS else pattern


def _is_word(pattern: str) -> bool:
    return not _METACHARACTER.search(_ESCAPED.sub("", pattern))
