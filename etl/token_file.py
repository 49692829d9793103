"""The format of `tokens.json`, the tokens of the private port: {"tokens": [{...}, ...]}.

Tokens are in order of creation. One invalid entry makes the whole file invalid, because it could be
the entry that says "revoked".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

_HASH = re.compile(r"[0-9a-f]{64}")


class DamagedTokens(ValueError):
    """The content is not a valid file of tokens."""


@dataclass(frozen=True, slots=True)
class Token:
    """The stored form of a token. Without `tenant_id` it is an administrator's and reads all."""

    id: str
    sha256: str
    tenant_id: int | None
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the token is neither revoked nor expired."""
        if self.revoked_at is not None:
            return False
        return self.expires_at is None or now < datetime.fromisoformat(self.expires_at)


def read(content: bytes) -> tuple[Token, ...]:
    """Return every token. Raises DamagedTokens."""
    try:
        tokens = tuple(Token(**fields) for fields in json.loads(content)["tokens"])
        damaged = not all(map(_is_sound, tokens))
    except (ValueError, KeyError, TypeError, RecursionError):
        damaged = True
    if damaged:
        raise DamagedTokens("is not a file of tokens")
    return tokens


def written(tokens: Sequence[Token]) -> bytes:
    """Return the file content of these tokens."""
    return json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1).encode()


def _is_sound(token: Token) -> bool:
    """Return whether every field is valid. Raises TypeError, ValueError for a wrong type."""
    moments = [token.created_at, token.expires_at, token.revoked_at]
    return (
        isinstance(token.id, str)
        and _HASH.fullmatch(token.sha256) is not None
        and type(token.tenant_id) in (int, type(None))
        and all(datetime.fromisoformat(text).tzinfo for text in moments if text is not None)
        and token.created_at is not None
    )
