"""Readers of the private port: an administrator, or one tenant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """The sender of a request.

    `tenant_id` is None for an administrator, who may read everything. `token_id` is None unless
    the reader used a token of the store.
    """

    tenant_id: int | None = None
    token_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the reader may read everything."""
        return self.tenant_id is None


ADMINISTRATOR = Reader()
