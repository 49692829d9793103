"""GET /beacon.js over HTTP, on either server."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
import traffic_tools
from http_tools import Answer, request

SCRIPT = (
    Path(__file__).resolve().parents[2] / "service" / "web" / "public" / "tracker" / "beacon.min.js"
)
PATH = "/beacon.js"
GZIP = {"Accept-Encoding": "br, gzip"}


@pytest.fixture(scope="module", params=["fast", "tornado"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a collector with that server listens."""
    data = tmp_path_factory.mktemp("tracker") / "data"
    with traffic_tools.running("collect", data, http_server=request.param) as service:
        yield service.url


def get(url: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return request(url, "GET", PATH, headers=named)


def test_any_page_may_load_it_and_any_cache_keep_it(url: str) -> None:
    """The script and what a browser is told of it; no cookie."""
    answer = get(url)
    assert (answer.status, answer.body) == (200, SCRIPT.read_bytes())
    told = {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=3600",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
        "vary": "Accept-Encoding",
        "content-length": str(len(answer.body)),
    }
    assert answer.headers.items() >= told.items()
    assert answer.headers.keys().isdisjoint({"set-cookie", "content-encoding", "server"})


def test_it_is_below_1200_bytes_where_gzip_is_understood(url: str) -> None:
    """The same script, under another ETag."""
    answer = request(url, "GET", PATH, headers=GZIP)
    assert (answer.status, answer.headers["content-encoding"]) == (200, "gzip")
    assert len(answer.body) < 1200
    assert gzip.decompress(answer.body) == SCRIPT.read_bytes()
    assert answer.headers["etag"] != get(url).headers["etag"]


@pytest.mark.parametrize("refused", ["identity", "gzip;q=0", "gzip; q=0.0, br", "x-other", ""])
def test_gzip_is_not_sent_to_who_does_not_take_it(url: str, refused: str) -> None:
    """Whatever else they name."""
    assert get(url, Accept_Encoding=refused).body == SCRIPT.read_bytes()


@pytest.mark.parametrize("encoding", ["identity", "gzip", "GZIP;q=0.5"])
def test_who_has_it_is_told_so(url: str, encoding: str) -> None:
    """304, with the ETag and for how long; strong, alone or in a list. Another ETag gets it."""
    etag = get(url, Accept_Encoding=encoding).headers["etag"]
    assert etag.startswith('"')
    for known in (etag, f'"other", {etag}', "*"):
        answer = get(url, Accept_Encoding=encoding, If_None_Match=known)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
        assert answer.headers["cache-control"] == "public, max-age=3600"
    assert get(url, Accept_Encoding=encoding, If_None_Match='"other"').status == 200


def test_head_tells_the_same_without_the_script(url: str) -> None:
    """Its length and ETag too."""
    answer, whole = request(url, "HEAD", PATH), get(url)
    assert (answer.status, answer.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert answer.headers[name] == whole.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(url: str, method: str) -> None:
    """405, with those there are."""
    answer = request(url, method, PATH)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
