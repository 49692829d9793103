"""Signed sales: the header, the secrets, what intake makes of them, and what they outrank."""

import hmac
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from intake_tools import CONVERSION, NOW, Collector
from log_tools import Shop, event

from etl.lake.live.view import LiveView
from etl.upkeep import check
from service.collector.signing import signatures
from service.collector.signing.secret_store import HasSecret, NoSecret, OnlySignedCount, SecretStore
from service.collector.signing.signatures import SecretsUnavailable
from service.collector.signing.verifier import SignedBody, TooManyTenants

BODY = b'{"tenant_slug":"la-colmena"}'
NOW_US = round(NOW.timestamp() * 1_000_000)
NOW_S = NOW_US // 1_000_000


def digest(secret: str, seconds: object, body: bytes) -> str:
    """As the documentation says it, by hand."""
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()


def header(secret: str, seconds: object = NOW_S, body: bytes = BODY) -> str:
    return f"t={seconds},v1={digest(secret, seconds, body)}"


def slug(text: str, secrets: tuple[str, ...] = ("one", "two"), body: bytes = BODY) -> str | None:
    refusal = signatures.verify(secrets, text, body, NOW_US)
    return refusal and refusal.slug


# -- the header -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        header("one"),
        header("two"),
        header("one").upper().replace("T=", "t=").replace("V1=", "v1="),
        header("three") + ",v1=" + digest("two", NOW_S, BODY),
        "v0=x, " + header("one").replace(",", " , "),
        header("one", NOW_S - 299),
        header("one", NOW_S + 299),
    ],
)
def test_a_signature_by_any_valid_secret_is_good(text: str) -> None:
    """Two secrets are valid during a rotation, and a sender may give several signatures."""
    assert slug(text) is None


@pytest.mark.parametrize("seconds", [NOW_S - 302, NOW_S + 302, 0, "9" * 12])
def test_a_signature_of_another_time_is_expired(seconds: object) -> None:
    """Five minutes either way."""
    assert slug(header("one", seconds)) == "signature-expired"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ",",
        "t=",
        f"t={NOW_S}",
        f"t={NOW_S},v1=",
        f"t={NOW_S},v1=ü",
        "v1=" + digest("one", NOW_S, BODY),
        f"t={NOW_S}," + header("one"),
        header("one", f"+{NOW_S}"),
        header("one", "٣"),
        header("one", "²"),
        header("one", "1" * 5000),
        header("three"),
        header("one", body=BODY + b" "),
        header("one").replace(f"t={NOW_S}", f"t={NOW_S + 1}"),
        header("one") + ",v1=0" * signatures.SIGNATURES_MAX,
    ],
)
def test_anything_else_is_invalid(text: str) -> None:
    """Malformed, by no secret, of another body or of another time."""
    assert slug(text) == "signature-invalid"


# -- the secrets ------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path / "signing.json")


def test_two_secrets_are_valid_during_a_rotation(store: SecretStore) -> None:
    """A third puts the oldest out; retiring leaves the newest; revoking leaves none."""
    first = store.create(17, NOW).secret
    with pytest.raises(HasSecret):
        store.create(17, NOW)
    with pytest.raises(NoSecret):
        store.retire(17)
    second = store.rotate(17, NOW).secret
    assert store.valid(17) == [first, second]
    third = store.rotate(17, NOW).secret
    assert store.valid(17) == [second, third]
    assert [one.secret for one in store.retire(17)] == [second]
    store.create(18, NOW)
    store.revoke(17)
    assert (store.valid(17), len(store.valid(18)), len(store.all())) == ([], 1, 1)
    with pytest.raises(NoSecret):
        store.rotate(17, NOW)


def test_another_process_sees_a_change_at_once(store: SecretStore, tmp_path: Path) -> None:
    """Also that a secret was revoked. The file is its owner's alone."""
    other = SecretStore(tmp_path / "signing.json")
    assert other.valid(17) == []
    made = store.create(17, NOW)
    assert other.valid(17) == [made.secret]
    assert stat.S_IMODE((tmp_path / "signing.json").stat().st_mode) == 0o600
    store.revoke(17)
    assert other.valid(17) == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"secrets": [{"id": 1}]}', '{"secrets": [1]}',
     '{"secrets": [{"id": "a", "tenant_id": 17, "secret": "", "created_at": ""}]}',
     '{"secrets": [], "only_signed": 17}', '{"secrets": [], "only_signed": ["17"]}',
     '{"secrets": [], "only_signed": [true]}', '{"secrets": {}}', '{"secrets": ""}',
     '{"secrets": [{"id": "a", "tenant_id": "17", "secret": "s", "created_at": ""}]}',
     '{"secrets": [{"id": "a", "tenant_id": true, "secret": "s", "created_at": ""}]}',
     '{"secrets": [{"id": "a", "tenant_id": 17, "secret": "\\ud800", "created_at": ""}]}'],
)  # fmt: skip
def test_a_damaged_file_is_not_a_file_without_secrets(
    store: SecretStore, tmp_path: Path, content: str
) -> None:
    """It says so, in one line, and is never written over."""
    (tmp_path / "signing.json").write_text(content)
    for ask in (
        lambda: store.valid(17),
        lambda: store.only_signed(17),
        lambda: store.create(17, NOW),
    ):
        with pytest.raises(SecretsUnavailable, match=r"signing\.json: is not a file of secrets"):
            ask()
    assert len(store.why_not_ready()) == 1


def test_only_signed_sales_may_count(store: SecretStore, tmp_path: Path) -> None:
    """Of a tenant with a secret, through rotations; the last secret then stays."""
    with pytest.raises(NoSecret):
        store.refuse_unsigned(17)
    store.create(17, NOW)
    store.create(18, NOW)
    store.refuse_unsigned(17)
    other = SecretStore(tmp_path / "signing.json")
    assert (other.only_signed(17), other.only_signed(18)) == (True, False)
    newest = store.rotate(17, NOW)
    store.retire(17)
    with pytest.raises(OnlySignedCount):
        store.revoke(17)
    assert (other.only_signed(17), other.valid(17)) == (True, [newest.secret])
    store.take_unsigned(17)
    assert not other.only_signed(17)
    store.revoke(17)
    assert other.valid(17) == []


def test_a_file_of_an_older_version_asks_nobody_to_sign(store: SecretStore, tmp_path: Path) -> None:
    """It names only secrets."""
    store.create(17, NOW)
    path = tmp_path / "signing.json"
    path.write_text(json.dumps({"secrets": json.loads(path.read_text())["secrets"]}))
    assert (len(store.valid(17)), store.only_signed(17)) == (1, False)


# -- a body that many sign --------------------------------------------------------------------


def test_a_body_is_hashed_for_eight_tenants_at_most() -> None:
    """As many as a header can have signatures of; nobody knows whether the ninth signed."""
    signed = SignedBody(b"[]", header("one", NOW_S, body=b"[]"))
    assert signed.rejection(1, ["another"], NOW_US) == signatures.INVALID
    assert signed.rejection(2, ["another", "one"], NOW_US) is None
    for tenant_id in range(3, 9):
        assert signed.rejection(tenant_id, ["one"], NOW_US) is None
    with pytest.raises(TooManyTenants):
        signed.rejection(9, ["one"], NOW_US)
    assert signed.rejection(2, ["another"], NOW_US) is None


# -- intake -----------------------------------------------------------------------------------

SALE = CONVERSION | {"transaction_id": "T-1"}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path, secrets=SecretStore(tmp_path / "signing.json"))


def test_a_signed_sale_is_marked(collector: Collector, tmp_path: Path) -> None:
    """And has a key that no unsigned one can have, whatever its transaction is called."""
    secret = SecretStore(tmp_path / "signing.json").create(17, NOW).secret
    body = b'{"tenant_slug":"la-colmena","transaction_id":"T-1","value":280.5}'
    reply = collector.send("conversion", body, signature=header(secret, body=body))
    assert (reply.status, reply.body["status"]) == (200, "ok")
    collector.send("conversion", SALE | {"transaction_id": "stx:T-1"})
    signed, unsigned = collector.events
    assert (signed["signed"], signed["dedupe_key"]) == (True, "stx:T-1")
    assert "signed" not in unsigned
    assert unsigned["dedupe_key"] == "tx:stx:T-1"


def test_a_wrong_signature_is_refused_and_kept(collector: Collector, tmp_path: Path) -> None:
    """The sale is never stored as if it had not been signed."""
    secret = SecretStore(tmp_path / "signing.json").create(17, NOW).secret
    for text in (header(secret), header(secret, NOW_S - 900, body=b"{}"), "t=1,v1=00", ""):
        reply = collector.send("conversion", SALE, signature=text)
        assert (reply.status, reply.body["status"]) == (200, "skipped")
    collector.now += timedelta(minutes=6)
    body = b'{"tenant_slug":"la-colmena","transaction_id":"T-1","value":280.5}'
    collector.send("conversion", body, signature=header(secret, body=body))
    assert collector.events == []
    assert collector.reasons == ["signature-invalid"] * 4 + ["signature-expired"]


def test_a_tenant_without_a_secret_is_served_as_ever(collector: Collector, tmp_path: Path) -> None:
    """Whatever header somebody sends; and other tenants' secrets sign nothing of it."""
    secret = SecretStore(tmp_path / "signing.json").create(18, NOW).secret
    collector.send("conversion", SALE, signature=header(secret))
    assert ["signed" in line for line in collector.events] == [False]
    assert collector.reasons == []


def test_a_sale_that_cannot_be_verified_now_stays_with_its_sender(
    collector: Collector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged file is our own fault: 503, nothing stored. Unsigned sales wait too, because the
    file says of which tenants they count; all else goes on."""
    (tmp_path / "signing.json").write_text("{")
    assert collector.send("conversion", SALE, signature=header("one")).status == 503
    assert collector.send("conversion", SALE).status == 503
    assert collector.send("track", {"tenant_id": 17, "type": "purchase"}).status == 503
    assert collector.journal.lines == []
    assert collector.send("conversion", SALE | {"type": "call"}).body["status"] == "ok"
    assert collector.send("track", {"tenant_id": 17, "type": "call"}).status == 202
    # Once per endpoint.
    assert [line.message for line in caplog.records] == ["cannot verify signatures"] * 2


@pytest.fixture
def insistent(collector: Collector, tmp_path: Path) -> Collector:
    """Of tenant 17 only signed sales count."""
    store = SecretStore(tmp_path / "signing.json")
    store.create(17, NOW)
    store.refuse_unsigned(17)
    return collector


@pytest.mark.parametrize("type_", ["purchase", "conversion"])
def test_an_unsigned_sale_is_refused_where_only_signed_ones_count(
    insistent: Collector, type_: str
) -> None:
    """As the contract says: a conversion is skipped, a tracked one is 422; both are kept."""
    reply = insistent.send("conversion", SALE | {"type": type_})
    skipped = {"status": "skipped", "transaction_id": "T-1", "reason": "signature-missing"}
    assert (reply.status, reply.body) == (200, skipped)
    reply = insistent.send("track", {"tenant_id": 17, "type": type_})
    assert (reply.status, list(reply.body["errors"])) == (422, ["type"])
    assert insistent.events == []
    assert insistent.reasons == ["signature-missing"] * 2


def test_where_only_signed_sales_count_all_else_is_as_ever(
    insistent: Collector, tmp_path: Path
) -> None:
    """Signed sales, other events, and other tenants' sales."""
    [secret] = SecretStore(tmp_path / "signing.json").valid(17)
    body = json.dumps(SALE).encode()
    signed = insistent.send("conversion", body, signature=header(secret, body=body))
    assert signed.body["status"] == "ok"
    assert insistent.send("conversion", SALE | {"type": "call"}).body["status"] == "ok"
    assert insistent.send("track", {"tenant_id": 17, "type": "cart_add"}).status == 202
    assert insistent.send("interactions", {"tenant_id": 17, "type": "view"}).status == 201
    assert [line.get("signed") for line in insistent.events] == [True, None, None, None]
    SecretStore(tmp_path / "signing.json").take_unsigned(17)
    assert insistent.send("conversion", SALE).body["status"] == "ok"
    assert insistent.reasons == []


def test_a_wrong_signature_is_told_apart_from_none(insistent: Collector, tmp_path: Path) -> None:
    """And without any secret, as in a file edited by hand, nothing is believed."""
    insistent.send("conversion", SALE, signature=header("another"))
    (tmp_path / "signing.json").write_text('{"secrets": [], "only_signed": [17]}')
    insistent.send("conversion", SALE, signature=header("another"))
    assert insistent.reasons == ["signature-invalid", "signature-missing"]
    assert insistent.events == []


# -- what a signed sale outranks --------------------------------------------------------------


def sale(after_s: float, value: float, **fields: object) -> bytes:
    given = {"transaction_id": "X", "currency": "HNL", "dedupe_key": "tx:X", **fields}
    return event(after_s, endpoint="conversion", type="purchase", value=value, **given)


def signed(after_s: float, value: float, **fields: object) -> bytes:
    return sale(after_s, value, signed=True, dedupe_key="stx:X", **fields)


@pytest.mark.parametrize("compacted", ["never", "between", "after"])
@pytest.mark.parametrize("first", ["signed", "unsigned"])
def test_a_signed_sale_outranks_an_unsigned_one(tmp_path: Path, first: str, compacted: str) -> None:
    """Whichever came first, in lake and live view alike; the claim becomes a disagreeing repeat."""
    shop = Shop(tmp_path / "data")
    lines = (
        [signed(1, 1000), sale(2, 0.01)] if first == "signed" else [sale(1, 0.01), signed(2, 1000)]
    )
    shop.seal(lines[0], event(5))
    if compacted == "between":
        shop.compact()
    shop.seal(lines[1], signed(3, 900))
    if compacted != "never":
        shop.compact()
    counted = "SELECT value::DOUBLE, signed FROM events WHERE endpoint = 'conversion'"
    assert shop.query(counted) == [(1000.0, True)]
    repeats = "SELECT value::DOUBLE FROM duplicates ORDER BY 1"
    assert shop.query(repeats) == [(0.01,), (900.0,)]
    assert shop.query("SELECT value::DOUBLE FROM disagreeing() ORDER BY 1") == [(0.01,), (900.0,)]
    assert shop.query("SELECT count(*) FROM events") == [(2,)]
    assert check.run(shop.data).problems == []


@pytest.mark.parametrize("compacts", [False, True])
def test_it_outranks_no_other_sale(tmp_path: Path, *, compacts: bool) -> None:
    """Of another tenant or transaction, or of another month."""
    shop = Shop(tmp_path / "data")
    month_s = 30 * 86_400
    shop.seal(
        sale(0, 1),
        sale(1, 2, tenant_id=2),
        sale(2, 4, transaction_id="Y", dedupe_key="tx:Y"),
        sale(3, 8, dedupe_key="id:X"),
        sale(4, 16, dedupe_key=None),
    )
    if compacts:
        shop.compact()
    shop.seal(signed(month_s + 1, 32))
    if compacts:
        shop.compact()
    assert shop.query("SELECT sum(value)::BIGINT FROM events") == [(63,)]
    assert shop.query("SELECT count(*) FROM duplicates") == [(0,)]


@pytest.mark.default_python
def test_a_view_that_is_kept_says_what_a_new_one_says(tmp_path: Path) -> None:
    """It keeps what the lake's files say: with a tail, after a compaction, of a pinned version."""
    shop = Shop(tmp_path / "data")
    kept = LiveView(shop.data)
    counted = "SELECT transaction_id, value::DOUBLE FROM events ORDER BY ALL"
    repeats = "SELECT transaction_id, value::DOUBLE FROM duplicates ORDER BY ALL"
    other = {"transaction_id": "Y", "dedupe_key": "tx:Y"}

    def told(view: LiveView, version: int | None = None) -> list[object]:
        with view.connect(version=version) as con:
            return [con.execute(query).fetchall() for query in (counted, repeats)]

    steps = [
        [sale(0, 1), sale(1, 2, **other)],
        [signed(2, 3)],
        [sale(3, 4, signed=True, transaction_id="Z", dedupe_key="stx:Z")],
        [sale(4, 5, transaction_id="Z", dedupe_key="tx:Z")],
        [sale(5, 6, signed=True, transaction_id="Y", dedupe_key="stx:Y")],
    ]
    for lines in steps:
        shop.seal(*lines)
        assert told(kept) == told(kept) == told(LiveView(shop.data))
        version = shop.compact().version
        assert told(kept) == told(LiveView(shop.data)) == told(kept, version)
    assert told(kept, 1) == told(LiveView(shop.data), 1) != told(kept)
    assert told(kept) == [
        [("X", 3.0), ("Y", 6.0), ("Z", 4.0)],
        [("X", 1.0), ("Y", 2.0), ("Z", 5.0)],
    ]


def test_the_files_of_the_lake_are_read_once_for_it(tmp_path: Path) -> None:
    """By a view that is kept, until they change."""
    shop = Shop(tmp_path / "data")
    view = LiveView(shop.data)

    def kept() -> object:
        view.connect().close()
        return view._superseded._kept

    shop.seal(sale(0, 1), signed(1, 2))
    shop.compact()
    first = kept()
    shop.seal(event(2))
    assert kept() is first
    shop.compact()
    assert kept() is not first


def test_a_pinned_version_knows_its_own_signed_sales(tmp_path: Path) -> None:
    """And none that came later."""
    shop = Shop(tmp_path / "data")
    shop.seal(sale(1, 5))
    before = shop.compact().version
    shop.seal(signed(2, 1000))
    after = shop.compact().version
    total = "SELECT sum(value)::BIGINT FROM events"
    values = {version: shop.query(total, version=version) for version in (before, after)}
    assert values == {before: [(5,)], after: [(1000,)]}


# -- the examples of the documentation --------------------------------------------------------

EXAMPLES = (Path(__file__).parents[5] / "docs/integration.md").read_text().partition("## Signed")[2]
RUNTIMES = {"python": [sys.executable, "-c"]}
if shutil.which("node"):
    RUNTIMES["javascript"] = ["node", "-e"]


class Taking(BaseHTTPRequestHandler):
    """Keeps the requests that its server is sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers[signatures.HEADER], body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("language", RUNTIMES)
def test_the_documented_examples_sign_well(language: str) -> None:
    """Each, run as it stands there."""
    found = re.search(rf"```{language}\n(.*?)```", EXAMPLES, re.DOTALL)
    assert found
    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        server.taken = []  # type: ignore[attr-defined]
        server.timeout = 30
        environment = {
            **os.environ,
            "STATS_SECRET": "bls_one",
            "STATS_URL": f"http://127.0.0.1:{server.server_port}",
        }
        command = [*RUNTIMES[language], found[1]]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as example:
            server.handle_request()
            assert example.wait(60) == 0
        [(path, text, body)] = server.taken  # type: ignore[attr-defined]
    assert path == "/api/v1/analytics/conversion"
    now_us = round(time.time() * 1_000_000)
    assert signatures.verify(["bls_one"], text, body, now_us) is None
