"""Readers of the private port: an administrator, or one tenant."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """The sender of a request, as its token identifies it.

    `tenant_id` is None for an administrator, who may read everything. `token_id` is None without a
    token, and for `reports_token`.
    """

    tenant_id: int | None = None
    token_id: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the reader may read everything."""
        return self.tenant_id is None


ADMINISTRATOR = Reader()
