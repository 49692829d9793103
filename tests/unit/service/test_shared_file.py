"""Secrets and tokens that machines share: one truth in object storage, and a copy on each."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from intake_tools import CONVERSION, INTERACTION, NOW, SUBMISSION, Collector
from object_tools import Objects
from tornado.httputil import HTTPServerRequest, RequestStartLine

from etl.goals import Goal, GoalError, GoalStore
from etl.object_store import ObjectStoreError
from etl.object_versions import KEPT, ObjectVersions, VersionTaken
from service.collector.intake import Reply, reply_of
from service.collector.signing.secret_store import HasSecret, NoSecret, SecretStore
from service.collector.signing.signatures import SecretsUnavailable, sign
from service.processes import shared_files
from service.processes.shared_files import Pulling
from service.web.private.access import Access, Denied
from service.web.private.tokens import TokenFileError, TokenStore

NAME = "_shared/signing.json"


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def machine(tmp_path: Path, objects: Objects) -> Callable[[str], SecretStore]:
    """The secrets as a process of the machine of this name has them."""

    def secrets(name: str) -> SecretStore:
        (tmp_path / name).mkdir(exist_ok=True)
        return SecretStore(tmp_path / name / "signing.json", ObjectVersions(objects, NAME))

    return secrets


Machine = Callable[[str], SecretStore]


def signature(secret: str, body: bytes) -> str:
    seconds = str(int(NOW.timestamp()))
    return f"t={seconds},v1={sign(secret, seconds, body)}"


def test_a_change_of_one_machine_is_that_of_all(machine: Machine, tmp_path: Path) -> None:
    """Made, rotated and revoked, from any of them. The copies are their owners' alone."""
    one, other = machine("one"), machine("other")
    first = one.create(17, NOW).secret
    assert other.all() == []
    other.pull()
    assert other.valid(17) == [first]
    second = other.rotate(17, NOW).secret
    other.refuse_unsigned(17)
    one.pull()
    assert (one.valid(17), one.only_signed(17)) == ([first, second], True)
    one.take_unsigned(17)
    one.revoke(17)
    with pytest.raises(NoSecret):
        other.rotate(17, NOW)
    assert other.all() == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("*/signing*")} == {0o600}


def test_two_operators_do_not_lose_each_others_changes(
    machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later of two at the same moment is refused, and is right if it is tried again."""
    one, other = machine("one"), machine("other")
    put_new = objects.put_new

    def late(key: str, data: bytes) -> None:
        monkeypatch.undo()
        other.create(18, NOW)
        put_new(key, data)

    monkeypatch.setattr(objects, "put_new", late)
    with pytest.raises(SecretsUnavailable, match=r"another machine changes it .*; try again"):
        one.create(17, NOW)
    one.create(17, NOW)
    other.pull()
    assert {each.tenant_id for each in other.all()} == {17, 18}


def test_a_try_whose_reply_was_lost_is_not_refused(
    machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client tries a put again, and finds its own object."""
    put_new = objects.put_new

    def twice(key: str, data: bytes) -> None:
        monkeypatch.undo()
        put_new(key, data)
        put_new(key, data)

    monkeypatch.setattr(objects, "put_new", twice)
    made = machine("one").create(17, NOW)
    other = machine("other")
    other.pull()
    assert other.valid(17) == [made.secret]


def test_a_change_whose_reply_was_lost_is_not_told_as_none(
    machine: Machine, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second rotation would revoke the secret in use, so the text says what to look at first."""
    one = machine("one")
    one.create(17, NOW)
    put_new = objects.put_new

    def unheard(key: str, data: bytes) -> None:
        put_new(key, data)
        raise ObjectStoreError("s3://bucket/log: the server does not answer")

    monkeypatch.setattr(objects, "put_new", unheard)
    with pytest.raises(SecretsUnavailable, match=r"may have been changed, or not: .* List its"):
        one.rotate(17, NOW)
    monkeypatch.undo()
    one.pull()
    assert len(one.valid(17)) == 2


def test_what_lies_deeper_is_no_version(machine: Machine, objects: Objects) -> None:
    """Such as copies that an operator made of some."""
    made = machine("one").create(17, NOW)
    objects.put(f"{NAME}/before/{9:012}", b"")
    other = machine("other")
    other.pull()
    assert other.valid(17) == [made.secret]


def test_the_last_copy_serves_without_the_storage(machine: Machine, objects: Objects) -> None:
    """After a restart too; a change needs the storage, and the text says so."""
    made = machine("one").create(17, NOW)
    machine("other").pull()
    with objects.outage():
        other = machine("other")
        with pytest.raises(SecretsUnavailable, match=r"^signing.json cannot be read: s3://bucket"):
            other.pull()
        assert other.valid(17) == [made.secret]
        with pytest.raises(SecretsUnavailable):
            other.rotate(17, NOW)
    assert other.valid(17) == [made.secret]


def test_a_machine_that_never_read_them_verifies_no_signature(
    machine: Machine, objects: Objects
) -> None:
    """It cannot know whether the tenant has a secret. It takes unsigned sales, and is ready."""
    machine("one").create(17, NOW)
    new = machine("new")
    assert (new.only_signed(17), new.why_not_ready()) == (False, [])
    with pytest.raises(SecretsUnavailable, match="was not read from object storage yet"):
        new.valid(17)
    new.pull()
    assert len(new.valid(17)) == 1


def test_a_file_from_before_is_the_first_version(machine: Machine, tmp_path: Path) -> None:
    """Of the machine that changes it first; the same file elsewhere is replaced."""
    one = SecretStore(own_file(tmp_path, "one"))
    one.create(17, NOW)
    one.create(18, NOW)
    own_file(tmp_path, "other").write_bytes(own_file(tmp_path, "one").read_bytes())
    first, other = machine("one"), machine("other")
    other.pull()
    assert [each.tenant_id for each in other.all()] == [17, 18]
    with pytest.raises(HasSecret):
        first.create(17, NOW)
    first.create(19, NOW)
    other.pull()
    assert other.all() == first.all()
    first.revoke(18)
    other.pull()
    assert other.all() == first.all()


def test_nothing_of_an_own_file_is_lost_in_silence(machine: Machine, tmp_path: Path) -> None:
    """It serves as before, and says what the shared one lacks, until somebody deletes it."""
    for name, tenant_id in (("one", 17), ("other", 18)):
        SecretStore(own_file(tmp_path, name)).create(tenant_id, NOW)
    one, other = machine("one"), machine("other")
    one.rotate(17, NOW)
    before = own_file(tmp_path, "other").read_bytes()
    for change in (other.pull, lambda: other.create(17, NOW)):
        with pytest.raises(SecretsUnavailable, match="lacks: secrets of tenant 18; it serves"):
            change()
    assert (len(other.valid(18)), own_file(tmp_path, "other").read_bytes()) == (1, before)
    own_file(tmp_path, "other").unlink()
    other.pull()
    assert other.all() == one.all()


def test_a_secret_is_not_replaced_by_another_of_its_tenant(
    machine: Machine, tmp_path: Path
) -> None:
    """Two machines made one for the same shop before they shared them."""
    for name in ("one", "other"):
        SecretStore(own_file(tmp_path, name)).create(17, NOW)
    machine("one").rotate(17, NOW)
    with pytest.raises(SecretsUnavailable, match="lacks: secrets of tenant 17; it serves"):
        machine("other").pull()


def test_a_restored_copy_is_replaced_by_the_shared_one(machine: Machine, tmp_path: Path) -> None:
    """With its mark, as a backup has it: a revoked secret does not come back."""
    one, other = machine("one"), machine("other")
    one.create(17, NOW)
    one.create(18, NOW)
    other.pull()
    kept = {path: path.read_bytes() for path in (tmp_path / "other").glob("signing.json*")}
    one.revoke(18)
    other.pull()
    for path, content in kept.items():
        path.write_bytes(content)
    other.pull()
    assert other.valid(18) == []


def own_file(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name / "signing.json"


def test_a_copy_that_was_changed_or_lost_is_made_again(machine: Machine, tmp_path: Path) -> None:
    """Whatever an editor or a restored backup put there."""
    one = machine("one")
    made = one.create(17, NOW)
    file = tmp_path / "one" / "signing.json"
    for damage in (file.unlink, lambda: file.write_text('{"secrets": []}')):
        damage()
        one.pull()
        assert one.valid(17) == [made.secret]


def test_a_damaged_version_replaces_no_copy(machine: Machine, objects: Objects) -> None:
    """It is named; the next change of a machine whose copy is sound is refused too."""
    one = machine("one")
    made = one.create(17, NOW)
    objects.put(f"{NAME}/{2:012}", b"{")
    with pytest.raises(SecretsUnavailable, match=f"{NAME}/{2:012}: is not a file of secrets"):
        one.pull()
    assert one.valid(17) == [made.secret]


def test_old_versions_are_deleted_and_a_late_writer_is_refused(objects: Objects) -> None:
    """It was suspended between its look and its put; its number is free again by then."""
    versions = ObjectVersions(objects, NAME)
    for number in range(1, 3 * KEPT):
        versions.put(number, b"%d" % number)
    newest = versions.newest()
    assert newest == 3 * KEPT - 1
    assert len(objects.names()) == KEPT + 1
    with pytest.raises(VersionTaken):
        versions.put(2, b"late")
    assert versions.newest() == newest
    assert versions.get(newest) == b"%d" % newest
    versions.put(newest + 1, b"next")
    assert len(objects.names()) == KEPT + 1


def test_tokens_are_shared_too(tmp_path: Path, objects: Objects) -> None:
    """Made on one machine, they close the port of another, open it, and are revoked for both."""

    def tokens(name: str) -> TokenStore:
        (tmp_path / name).mkdir(exist_ok=True)
        versions = ObjectVersions(objects, "_shared/tokens.json")
        return TokenStore(tmp_path / name / "tokens.json", versions)

    one, other = tokens("one"), tokens("other")
    with pytest.raises(TokenFileError, match="was not read from object storage yet"):
        other.were_made()
    other.pull()
    assert not other.were_made()
    text, token = one.create(tenant_id=None, expires_at=None, now=NOW)
    other.pull()
    assert (other.find(text, NOW), other.were_made()) == (token, True)
    assert (tmp_path / "other" / "tokens.made").exists()
    other.revoke(token.id, NOW)
    one.pull()
    assert one.find(text, NOW) is None
    (tmp_path / "other" / "tokens.json").unlink()
    with objects.outage(), pytest.raises(TokenFileError):
        tokens("other").all()


def test_goals_are_shared_too(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added and removed on any machine; the reports of each read their copy."""
    monkeypatch.setattr(
        shared_files, "versions", lambda url, name: ObjectVersions(objects, f"{url}/{name}")
    )

    def goals(name: str) -> tuple[GoalStore, Callable[[], None]]:
        (tmp_path / name).mkdir(exist_ok=True)
        file = tmp_path / name / "goals.json"
        shared = shared_files.goals_file(file, "_shared")
        assert shared is not None
        return GoalStore(file, shared), shared.pull

    (one, _), (other, pull) = goals("one"), goals("other")
    one.add(Goal(17, "sold", {"type": "purchase"}))
    other.add(Goal(17, "asked", {"type": "whatsapp_click"}))
    assert [goal.name for goal in GoalStore(tmp_path / "other" / "goals.json").all()] == [
        "sold",
        "asked",
    ]
    assert one.remove(17, "sold")
    pull()
    assert [goal.name for goal in other.all()] == ["asked"]
    with objects.outage(), pytest.raises(GoalError, match=r"goals\.json cannot be read"):
        other.remove(17, "asked")


# -- in a process --------------------------------------------------------------------------------


def test_a_signature_that_is_not_known_waits_for_newer_secrets(
    machine: Machine, tmp_path: Path
) -> None:
    """Of a tenant without a secret, and after a rotation elsewhere; also in a batch."""
    one, other = machine("one"), machine("other")
    asked = []

    def newer() -> asyncio.Future[bool]:
        asked.append(1)
        waited: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: (other.pull(), waited.set_result(True)))
        return waited

    other.pull()
    collector = Collector(tmp_path, secrets=other, newer=newer)
    secret = one.create(17, NOW).secret
    body = json.dumps(CONVERSION).encode()
    for used, expected in ((secret, "ok"), (secret, "ok"), ("bls_made-up", "skipped")):
        reply = collector.send("conversion", body, signature=signature(used, body))
        assert reply.body["status"] == expected
    assert len(asked) == 2, "a valid one waits for nothing"
    batch = json.dumps([CONVERSION | {"endpoint": "conversion"}] * 2).encode()
    rotated = signature(one.rotate(17, NOW).secret, batch)
    reply = collector.send("batch", batch, signature=rotated)
    assert [each["status"] for each in reply.body["results"]] == ["accepted"] * 2
    assert [each["signed"] for each in collector.events] == [True] * 4
    assert collector.reasons == ["signature-invalid"]


@pytest.mark.parametrize("has_secret", [True, False])
def test_a_sale_whose_secret_may_be_newer_stays_with_its_sender(
    machine: Machine, objects: Objects, tmp_path: Path, *, has_secret: bool
) -> None:
    """If the storage does not tell: 503, and nothing is stored; not skipped, nor unsigned."""
    one, other = machine("one"), machine("other")
    known = one.create(17 if has_secret else 18, NOW).secret
    other.pull()
    pulling = Pulling("signing.json", other.pull, SecretsUnavailable, is_shared=True)
    collector = Collector(tmp_path, secrets=other, newer=pulling.newer)

    async def sent(secret: str | None, endpoint: str = "conversion") -> Reply:
        view = INTERACTION | {"endpoint": "interactions"}
        batch = [CONVERSION | {"endpoint": "conversion"}, view]
        body = json.dumps(CONVERSION if endpoint == "conversion" else batch).encode()
        signed = signature(secret, body) if secret else None
        submission = replace(SUBMISSION, body=body, signature=signed)
        return await reply_of(getattr(collector.endpoints, endpoint)(submission))

    async def scenario() -> None:
        await pulling.start()
        made = (one.rotate if has_secret else one.create)(17, NOW).secret
        with objects.outage():
            replies = [await sent(made), await sent(made), await sent("bls_made-up")]
            assert [reply.status for reply in replies] == [503] * 3
            assert collector.journal.lines == []
            batch = await sent(made, "batch")
            assert [item["status"] for item in batch.body["results"]] == ["unavailable", "accepted"]
            assert (await sent(None)).body["status"] == "ok"
            if has_secret:
                assert (await sent(known)).body["status"] == "ok"
        while pulling.why_degraded():
            await asyncio.sleep(0.01)
        assert (await sent(made)).body["status"] == "ok"
        pulling.stop()

    asyncio.run(scenario())
    assert collector.events[-1]["signed"]


def test_a_token_that_is_not_known_waits_for_newer_tokens(tmp_path: Path) -> None:
    """One of another machine opens the port at its first use; a wrong one does not."""
    store = TokenStore(tmp_path / "tokens.json")
    store.create(tenant_id=None, expires_at=None, now=NOW)
    made: list[str] = []

    async def pulled() -> None:
        made.append(store.create(tenant_id=7, expires_at=None, now=NOW)[0])

    access = Access("", store, now=lambda: NOW, wrong_delay_s=0.0, newer=pulled)
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", "/", "HTTP/1.0"),
        connection=Mock(context=Mock(remote_ip="127.0.0.1")),
    )

    async def scenario() -> None:
        with pytest.raises(Denied, match="unknown, expired or revoked"):
            await access.authenticate("blt_made-up", request)
        reader = await access.authenticate(made[0], request)
        assert (reader.tenant_id, len(made)) == (7, 1)

    asyncio.run(scenario())


def test_pulls_are_shared_by_those_that_wait(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And begin after they asked; during an outage nobody waits, and the log has a line."""
    monkeypatch.setattr(shared_files, "_PATIENCE_S", 600.0)
    caplog.set_level(logging.INFO)
    pulls: list[str] = []
    failures: list[str] = []

    def pull() -> None:
        pulls.append("")
        if failures:
            raise SecretsUnavailable(failures[0])

    async def scenario() -> None:
        pulling = Pulling("signing.json", pull, SecretsUnavailable, is_shared=True, every_s=0.01)
        assert pulling.newer() is None
        await pulling.start()
        assert len(pulls) == 1
        waits = [pulling.newer() for _ in range(3)]
        assert None not in waits
        waits[0].cancel()
        assert await waits[1]
        assert len(pulls) == 2
        failures.append("away")
        while not pulling.why_degraded():
            await asyncio.sleep(0.01)
        assert (await pulling.newer(), pulling.why_degraded()) == (False, ("away",))
        failures.clear()
        while pulling.why_degraded():
            await asyncio.sleep(0.01)
        pulling.stop()

    asyncio.run(scenario())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_machine_of_its_own_pulls_nothing() -> None:
    """Without object storage nothing changes."""

    async def scenario() -> None:
        pulling = Pulling("signing.json", pytest.fail, SecretsUnavailable, is_shared=False)
        await pulling.start()
        assert (pulling.newer(), pulling.why_degraded()) == (None, ())
        pulling.stop()

    asyncio.run(scenario())
