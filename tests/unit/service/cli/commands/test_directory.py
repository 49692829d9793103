"""The command `directory`: files are imported whole or not at all, and listed."""

from pathlib import Path

import pytest
from command_tools import PRODUCTS, TENANTS, Cli, is_one_line_error, text_file


def test_a_directory_is_imported_and_listed(cli: Cli) -> None:
    """The data folder is made where it is missing."""
    tenants, products = text_file("tenants.csv", TENANTS), text_file("products.csv", PRODUCTS)
    ended = cli("directory", "import", tenants, products, "--data", "fresh")
    assert (ended.code, ended.out) == (0, "2 tenants, 1 products imported\n")
    listed = cli("directory", "list", "--json", "--data", "fresh").json["tenants"]
    assert [(one["id"], one["slug"], one["status"]) for one in listed] == [
        (1, "la-colmena", "active"),
        (2, "el-faro", "closed"),
    ]
    table = cli("directory", "list", "--data", "fresh").out
    assert "la-colmena" in table
    assert "El Faro" in table


def test_languages_zones_and_currencies_are_imported_and_listed(cli: Cli) -> None:
    """A value that does not exist is an error that names the line."""
    header, row, _ = TENANTS.splitlines()
    wide = f"{header},language,timezone,currency\n{row},es,America/Tegucigalpa,HNL\n"
    assert cli("directory", "import", text_file("tenants.csv", wide), "--data", "data").code == 0
    (listed,) = cli("directory", "list", "--json", "--data", "data").json["tenants"]
    told = (listed["language"], listed["timezone"], listed["currency"])
    assert told == ("es", "America/Tegucigalpa", "HNL")
    assert "America/Tegucigalpa" in cli("directory", "list", "--data", "data").out
    wrong = text_file("wrong.csv", wide.replace("Tegucigalpa", "Honduras"))
    ended = cli("directory", "import", wrong, "--data", "data")
    assert is_one_line_error(ended)
    assert "wrong.csv, line 2: timezone must be a zone" in ended.err


def test_importing_again_updates(cli: Cli) -> None:
    """By the tenant's id."""
    cli("directory", "import", text_file("tenants.csv", TENANTS), "--data", "data")
    cli(
        "directory",
        "import",
        text_file("tenants.csv", TENANTS.replace("closed", "active")),
        "--data",
        "data",
    )
    listed = cli("directory", "list", "--json", "--data", "data").json["tenants"]
    assert [one["status"] for one in listed] == ["active", "active"]


def test_a_directory_that_is_not_there_is_empty(cli: Cli) -> None:
    """Listing makes nothing."""
    ended = cli("directory", "list", "--json", "--data", "nowhere")
    assert (ended.code, ended.json) == (0, {"tenants": []})
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("id,slug\n1,a\n", "uuid"),
        (TENANTS + "x,,c,C,active\n", "line 4"),
        ("", "tenants.csv"),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_imports_nothing(
    cli: Cli, text: str, named: str
) -> None:
    """All or nothing."""
    ended = cli("directory", "import", text_file("tenants.csv", text), "--data", "data")
    assert is_one_line_error(ended)
    assert named in ended.err
    assert cli("directory", "list", "--json", "--data", "data").json == {"tenants": []}


def test_a_file_that_is_not_there_is_named(cli: Cli) -> None:
    """In one line."""
    ended = cli("directory", "import", "none.csv", "--data", "data")
    assert is_one_line_error(ended)
    assert "none.csv" in ended.err
