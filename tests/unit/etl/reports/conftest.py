"""Shops whose reports are asked."""

import pytest
from examples import share
from report_tools import Asked, directory_of, street


@pytest.fixture
def shop(tmp_path) -> Asked:
    """Two shops with products, and a new one; nothing has happened in them."""
    shop = Asked(tmp_path / "data")
    directory_of(shop)
    return shop


@pytest.fixture(scope="module", params=share(["both", "log", "lake"]))
def filled(request, tmp_path_factory) -> Asked:
    """The street in the log, in the lake, or in both."""
    shop = Asked(tmp_path_factory.mktemp("street") / "data")
    directory_of(shop)
    street(shop)
    if request.param == "both":
        away = shop.sealed("h-w1-aa")[0].path
        elsewhere = away.rename(shop.data / away.name)
        shop.compact()
        shop.folder("h-w1-aa")  # nobody writes it, so it went when it was empty
        elsewhere.rename(away)
    elif request.param == "lake":
        shop.compact()
    return shop
