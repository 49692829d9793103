"""The schema files of a contract: their version, and what is said of one that cannot be used."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

import orjson
import pytest
from contract_tools import CONTRACT

from service.collector.contract.contract import Contract
from service.collector.contract.schemas import SchemaFileError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the schemas to spoil."""
    with as_file(files("schemas") / "v1") as source:
        return shutil.copytree(source, tmp_path / "v7")


def test_the_folder_names_the_version(folder: Path) -> None:
    """A contract knows its version."""
    assert CONTRACT.version == "v1"
    assert Contract.load(folder).version == "v7"


@pytest.mark.parametrize("name", ["common", "track", "conversion", "interaction", "event"])
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"$id": "https://x.example/a.json", "type": "colour"}',
        b'{"$id": "https://x.example/a.json", "pattern": "("}',
        b'{"$id": "https://x.example/a.json", "$ref": "nowhere.json"}',
        b'{"$id": "https://x.example/a.json", "$ref": "#/$defs/nothing"}',
    ],
)
def test_a_schema_that_cannot_be_used_is_named(
    folder: Path, name: str, content: bytes | None
) -> None:
    """A missing, unreadable or invalid file is one error of one line with its path."""
    path = folder / f"{name}.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(SchemaFileError) as caught:
        Contract.load(folder)
    assert caught.value.path == path
    assert caught.value.why
    assert str(caught.value) == f"{path}: {caught.value.why}"
    assert "\n" not in str(caught.value)


def test_shared_definitions_without_currencies_are_named(folder: Path) -> None:
    """The shared definitions that the service uses must be there."""
    path = folder / "common.json"
    document = orjson.loads(path.read_bytes())
    del document["$defs"]["currency"]["enum"]
    path.write_bytes(orjson.dumps(document))
    with pytest.raises(SchemaFileError, match="enum"):
        Contract.load(folder)
