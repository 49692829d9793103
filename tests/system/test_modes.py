"""Who may read a data folder: its owner, whatever the umask of whoever started the program."""

import os
import stat
from pathlib import Path

import pytest
import traffic_tools as tools
from http_tools import UUID, post
from street import street_files  # noqa: F401


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_folders_and_files_are_private(
    tmp_path: Path, street_files: tuple[Path, Path], umask: int
) -> None:
    """Of a service that ran, its lake, its tokens, and its backup."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    before = os.umask(umask)
    try:
        tools.import_directory(*street_files, data=data)
        assert tools.run("token", "create", data=data).returncode == 0
        with tools.running("serve", data) as service:
            body = {"tenant_id": UUID, "type": "call"}
            assert post(service.url, "/api/v1/analytics/track", body).status == 202
        tools.run_json("compact", "--json", data=data)
        assert tools.run("backup", copy, data=data).returncode == 0
    finally:
        os.umask(before)
    for path in (data, copy, *data.rglob("*"), *copy.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_tokens_that_cannot_be_read_are_found_by_check(
    tmp_path: Path, street_files: tuple[Path, Path]
) -> None:
    """A folder in their place: exit code 1, and its slug."""
    data = tmp_path / "data"
    tools.import_directory(*street_files, data=data)
    (data / "tokens.json").mkdir()
    done = tools.run("check", data=data)
    assert done.returncode == 1
    assert "not-a-file" in done.stderr
