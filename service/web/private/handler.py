"""The base class of the handlers that authenticate their requests."""

from __future__ import annotations

from service.web.private.access import Access, Denied
from service.web.private.reader import ADMINISTRATOR
from service.web.private.tokens import TokenFileError
from service.web.responses import JsonHandler


class PrivateHandler(JsonHandler):
    """A handler that sets `reader` in `prepare`, to who sent the request."""

    def initialize(self, access: Access) -> None:
        self.access = access
        self.reader = ADMINISTRATOR

    async def prepare(self) -> None:  # type: ignore[override]
        super().prepare()
        if self._finished:
            return
        try:
            self.reader = await self.access.reader(self.request)
        except Denied as denied:
            self.deny(denied)
        except TokenFileError as error:
            self.fail(503, self.access.explain(error))

    def deny(self, denied: Denied) -> None:
        """Respond to a request that may not be served."""
        for name, text in denied.headers.items():
            self.set_header(name, text)
        if denied.status == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="beaconlog"')
        self.fail(denied.status, str(denied))

    def require_admin(self) -> bool:
        """Return whether the reader is an administrator; respond with 403 if not."""
        if self.reader.is_admin:
            return True
        self.fail(403, "This token may read the reports of one shop only.")
        return False
