"""Objects in a bucket that speaks S3, by obstore: put, get, list, delete, and clear errors.

An object is put whole in one request, with a SHA-256 that the server verifies, and never in parts.
So nobody sees half of it, and an upload that dies leaves nothing to clean up. `put_new` sends
`If-None-Match: *`: of two writers of a name, one wins and the other learns of it. A listing shows
every object that was put before it began.

Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
AWS_REGION, AWS_ENDPOINT_URL), or from the machine's role. No message contains them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/(?!\.{1,2}(?:/|$))[\w.=-]+)*)/?")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d+ [\w ]+)")
_KEYS_PER_DELETE = 1_000
_PART_BYTES = 16 << 20
_RETRIES_MAX = 2
_CONNECT_TIMEOUT = timedelta(seconds=3)

_CAUSES = {
    "NoSuchBucket": "the bucket does not exist; create it, or correct the URL",
    "InvalidBucketName": "the bucket does not exist; create it, or correct the URL",
    "InvalidAccessKeyId": "the access key is unknown; correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; correct AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; renew AWS_SESSION_TOKEN",
    "AccessDenied": "access is denied; let these credentials get, put, list and delete objects",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it, for example by NTP",
    "PermanentRedirect": "the bucket is in another region; correct AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region; correct AWS_REGION",
}


NOT_INSTALLED = "log_url and lake_url need the client of S3: pip install 'beaconlog[s3]'"


OVERLAP = "log_url and lake_url need places of their own: neither may lie below the other"


class ObjectStoreError(Exception):
    """The storage cannot be used now. The message names it, and says why and what to do."""


class BucketMissing(ObjectStoreError):
    """The bucket does not exist. Some servers make it with the first object."""


class ObjectExists(Exception):
    """An object of this name exists, so nothing was put."""


class ObjectMissing(Exception):
    """No object has this name."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object: its key below the store's prefix, its size, and when it was put (Unix time)."""

    key: str
    size_bytes: int
    modified_s: float = 0.0


def is_installed() -> bool:
    """Return whether the client library is installed."""
    return find_spec("obstore") is not None


def overlap(one: str, other: str) -> bool:
    """Return whether one of two URLs lies below the other; an empty one lies nowhere."""
    upper, lower = sorted(url.rstrip("/") + "/" for url in (one, other))
    return upper != "/" and lower.startswith(upper)


class ObjectStore:
    """The objects below one prefix of a bucket. Threads may share it, processes may not."""

    def __init__(self, client: Any, name: str) -> None:
        """Use a store of obstore; `name` stands for it in messages."""
        self._client, self.name = client, name

    @classmethod
    def open(cls, url: str, *, timeout_s: float) -> ObjectStore:
        """Return the store at a URL, such as s3://bucket/log. It connects at its first request.

        `timeout_s` bounds a request, and the time within which it may be tried again. Raises
        ValueError for any other URL.
        """
        from obstore.store import S3Store  # noqa: PLC0415  (an extra: few need it)

        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(url)
        client = S3Store(
            match[1],
            prefix=match[2].strip("/") or None,
            client_options=_client_options(timeout_s),
            retry_config=_retries(timeout_s),
            checksum_algorithm="SHA256",
        )
        return cls(client, url)

    def put_new(self, key: str, data: bytes) -> None:
        """Create an object. Raises ObjectExists, ObjectStoreError."""
        self._put(key, data, "create")

    def require_conditional_puts(self, key: str, data: bytes) -> None:
        """Put an object again, with the content that it has, which the storage must refuse.

        Raises ObjectStoreError.
        """
        try:
            self.put_new(key, data)
        except ObjectExists:
            return
        raise ObjectStoreError(
            f"{self.name}: the storage ignores If-None-Match, so two machines would replace each "
            "other's objects; use one that knows conditional puts"
        )

    def put(self, key: str, data: bytes) -> None:
        """Create or replace an object. Raises ObjectStoreError."""
        self._put(key, data, "overwrite")

    def _put(self, key: str, data: bytes, mode: Any) -> None:
        import obstore  # noqa: PLC0415

        with self._errors():
            obstore.put(self._client, key, data, mode=mode, use_multipart=False)

    def get(self, key: str) -> bytes:
        """Return the content of an object. Raises ObjectMissing, ObjectStoreError."""
        import obstore  # noqa: PLC0415

        with self._errors():
            return bytes(obstore.get(self._client, key).bytes())

    def put_file(self, key: str, path: Path) -> None:
        """Create or replace an object with the content of a file. Raises ObjectStoreError."""
        import obstore  # noqa: PLC0415

        with path.open("rb") as file, self._errors():
            obstore.put(self._client, key, file, use_multipart=False)

    def download(self, key: str, path: Path) -> None:
        """Copy an object to a new file, durably, in requests of at most 16 MiB.

        Raises ObjectMissing, ObjectStoreError; OSError.
        """
        try:
            with path.open("xb") as file:
                for part in self._parts(key):
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
        except (ObjectMissing, ObjectStoreError, OSError):
            path.unlink(missing_ok=True)
            raise

    def _parts(self, key: str) -> Iterator[bytes]:
        import obstore  # noqa: PLC0415

        with self._errors():
            whole = obstore.get(self._client, key)
            size = int(whole.meta["size"])
            first = bytes(whole.bytes()) if size <= _PART_BYTES else b""
        yield first
        for start in range(0, size if not first else 0, _PART_BYTES):
            with self._errors():
                end = min(start + _PART_BYTES, size)
                part = bytes(obstore.get_range(self._client, key, start=start, end=end))
            yield part

    def size_bytes(self, key: str) -> int:
        """Return the size of an object. Raises ObjectMissing, ObjectStoreError."""
        import obstore  # noqa: PLC0415

        with self._errors():
            return int(obstore.head(self._client, key)["size"])

    def listed(self, below: str = "", after: str = "") -> list[Listed]:
        """Return all objects, or those below a key that ends in /, in the order of their keys.

        With `after`, only those whose keys are greater. Raises ObjectStoreError.
        """
        import obstore  # noqa: PLC0415

        with self._errors():
            found = obstore.list(self._client, below or None, offset=after or None).collect()
        listed = (
            Listed(item["path"], item["size"], item["last_modified"].timestamp()) for item in found
        )
        return sorted(listed, key=_key)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; a missing one is no error. Raises ObjectStoreError."""
        import obstore  # noqa: PLC0415

        for start in range(0, len(keys), _KEYS_PER_DELETE):
            with self._errors():
                obstore.delete(self._client, list(keys[start : start + _KEYS_PER_DELETE]))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise the errors of this module for those of obstore."""
        from obstore import exceptions  # noqa: PLC0415

        try:
            yield
        except exceptions.AlreadyExistsError as error:
            raise ObjectExists(self.name) from error
        except FileNotFoundError as error:
            if _is_missing(str(error)):
                raise ObjectMissing(self.name) from error
            raise self._failure(str(error)) from error
        except exceptions.BaseError as error:
            raise self._failure(str(error)) from error

    def _failure(self, message: str) -> ObjectStoreError:
        kind = BucketMissing if "NoSuchBucket" in message else ObjectStoreError
        return kind(f"{self.name}: {_cause(message)}")


def _client_options(timeout_s: float) -> ClientConfig:
    # Plain HTTP is for an endpoint that the operator names; that of AWS is HTTPS.
    return {
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": timedelta(seconds=timeout_s),
        "allow_http": True,
    }


def _retries(timeout_s: float) -> RetryConfig:
    return {"max_retries": _RETRIES_MAX, "retry_timeout": timedelta(seconds=timeout_s)}


def _key(item: Listed) -> str:
    return item.key


def _is_missing(message: str) -> bool:
    """Return whether an object is missing, by the error that the storage sent.

    Without one, whatever is in front of the storage has answered. A HEAD has no body.
    """
    code = _CODE.search(message)
    if code:
        return code[1] != "NoSuchBucket"
    return _STATUS.search(message) is None or "performing HEAD" in message


def _cause(message: str) -> str:
    """Return why a request failed and what to do, in one line without the response's details."""
    if "169.254." in message or "credential" in message.lower():
        return "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    code = _CODE.search(message)
    if code:
        return _CAUSES.get(code[1], f"the server refuses the request ({code[1]})")
    status = _STATUS.search(message)
    if status and status[1].startswith("404"):
        return (
            "the server answers 404 without an error of S3; check AWS_ENDPOINT_URL and what is in "
            "front of the storage"
        )
    if status:
        return f"the server fails ({status[1].strip()})"
    return "the server does not answer; check AWS_ENDPOINT_URL and the network"
