"""The dashboard of the private port. It offers `routes`.

The pages are static files. Their scripts fetch the numbers from the report API, with the reader's
rights. A browser signs in with a token and gets a session (service.web.private.sessions), in a
cookie that no script can read and no other site can send. The pages load nothing from another host
and contain no inline script.
"""

from __future__ import annotations

from tornado import web
from tornado.routing import URLSpec

from service.web.private.access import Access
from service.web.private.dashboard.files import AssetHandler
from service.web.private.dashboard.pages import (
    DashboardHandler,
    MeHandler,
    SignInHandler,
    SignOutHandler,
)

__all__ = ["routes"]


def routes(access: Access) -> list[URLSpec]:
    """Return the routes of the pages and their files."""
    private = {"access": access}
    return [
        web.url(r"/", DashboardHandler, private),
        web.url(r"/signin", SignInHandler, private),
        web.url(r"/signout", SignOutHandler, private),
        web.url(r"/assets/(?P<name>[a-z.]+)", AssetHandler),
        web.url(r"/assets/(?P<version>[0-9a-f]+)/(?P<name>[a-z.]+)", AssetHandler),
        web.url(r"/api/v1/me", MeHandler, private),
    ]
