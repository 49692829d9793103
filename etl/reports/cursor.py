"""The cursor of a breakdown: the place after a row, for the next page of the same question.

The text is opaque to clients. It holds a digest of the question, the version of the lake to which
the question was pinned, if it was, and the values by which the rows are sorted. The next page is of
the same version. Without one it is read live: amounts only grow, so no row comes twice, but a row
that has grown beyond the cursor meanwhile is left out.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import blake2b

from etl.plain import is_utf8

CHARS_MAX = 6_000
_TAKEN = "takes the cursor of a result of the same question."
_LEFT_OUT = ("cursor", "limit")
_DIGEST_BYTES = 9
_VERSION_MAX = 10**15
# Those of DECIMAL(38, 4).
_AMOUNT_END = 10**34
_EXPONENTS = range(-4, 1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a row. `version` is the one to read; None for the live view."""

    question: str
    version: int | None
    amount: Decimal
    keys: tuple[str | None, str | None, str | None]

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse a text. Raises ValueError, whose text says what is taken."""
        if len(text) > CHARS_MAX:
            raise ValueError(_TAKEN)
        try:
            question, version, amount, *keys = json.loads(urlsafe_b64decode(text.encode()))
            first, second, currency = keys
            cursor = cls(question, version, Decimal(amount), (first, second, currency))
        except (ValueError, TypeError, InvalidOperation, RecursionError):
            raise ValueError(_TAKEN) from None
        if not cursor._is_sound():
            raise ValueError(_TAKEN)
        return cursor

    def text(self) -> str:
        values = [self.question, self.version, str(self.amount), *self.keys]
        content = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return urlsafe_b64encode(content.encode()).decode()

    def bound(self) -> dict[str, object]:
        """Return the parameters of the SQL."""
        return {"after_amount": self.amount, **dict(zip(_KEYS, self.keys, strict=True))}

    def _is_sound(self) -> bool:
        return (
            isinstance(self.question, str)
            and (self.version is None or type(self.version) is int)
            and 0 <= (self.version or 0) < _VERSION_MAX
            and self.amount.is_finite()
            and self.amount.copy_abs() < _AMOUNT_END
            and self.amount.as_tuple().exponent in _EXPONENTS
            and all(map(_is_key, self.keys))
        )


_KEYS = ("after_key", "after_key_2", "after_currency")
NOWHERE: Mapping[str, object] = dict.fromkeys(("after_amount", *_KEYS))
"""The parameters of the SQL for the first page."""


def after(question: str, version: int | None, row: Mapping[str, object]) -> Cursor:
    """Return the cursor after a row of a breakdown."""
    key, key_2, currency = (_text(row[name]) for name in ("key", "key_2", "currency"))
    return Cursor(question, version, Decimal(str(row["amount"])), (key, key_2, currency))


def digest(values: Mapping[str, object]) -> str:
    """Return a digest of a question's values, without those that may differ between pages."""
    asked = {name: str(value) for name, value in values.items() if name not in _LEFT_OUT}
    content = json.dumps(asked, sort_keys=True).encode()
    return urlsafe_b64encode(blake2b(content, digest_size=_DIGEST_BYTES).digest()).decode()


def _is_key(key: object) -> bool:
    """Return whether DuckDB takes it; JSON can write lone surrogates, and other types."""
    return key is None or (isinstance(key, str) and is_utf8(key))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
