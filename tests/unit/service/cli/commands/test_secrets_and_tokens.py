"""The commands on secrets of shops and tokens of readers: made, listed, rotated and revoked."""

import pytest
from command_tools import TENANTS, Cli, text_file
from log_tools import Shop


def test_secrets(cli: Cli, shop: Shop) -> None:
    """Made for a shop that exists, shown once, rotated with two valid at once, revoked."""
    cli("directory", "import", text_file("tenants.csv", TENANTS), "--data", shop.data)
    where = ["--data", str(shop.data)]
    secret = ["tenant", "secret", "la-colmena", *where]
    made = cli(*secret, "--json").json
    assert (made["tenant_id"], made["secret"][:4]) == (1, "bls_")
    assert cli(*secret).code == 2
    assert cli(*secret, "--retire").code == 2
    assert cli(*secret, "--rotate").out.startswith("bls_")
    listed = cli("tenant", "secrets", "--json", *where).json["secrets"]
    assert listed[0] == {key: made[key] for key in made if key != "secret"}
    assert len(listed) == 2
    assert cli(*secret, "--retire", "--json").json == {"tenant_id": 1, "revoked": [made["id"]]}
    assert cli(*secret, "--revoke").code == 0
    assert cli("tenant", "secrets", "--json", *where).json["secrets"] == []


def test_only_signed_sales(cli: Cli, shop: Shop) -> None:
    """Chosen for a shop with a secret, listed, and ended; meanwhile its last secret stays."""
    cli("directory", "import", text_file("tenants.csv", TENANTS), "--data", shop.data)
    where = ["--data", str(shop.data)]
    secret = ["tenant", "secret", "la-colmena", *where]

    def listed() -> list[bool]:
        rows = cli("tenant", "secrets", "--json", *where).json["secrets"]
        return [row["only_signed"] for row in rows]

    cli(*secret)
    assert listed() == [False]
    chosen = cli(*secret, "--only-signed", "--json").json
    assert chosen == {"tenant_id": 1, "only_signed": True}
    assert cli(*secret, "--rotate").code == 0
    assert listed() == [True, True]
    assert cli(*secret, "--retire").code == 0
    refused = cli(*secret, "--revoke")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--also-unsigned" in refused.err
    assert cli(*secret, "--also-unsigned").out == "tenant 1: all sales count\n"
    assert listed() == [False]
    assert cli(*secret, "--revoke").code == 0


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["nobody"], "TENANT"),
        ([""], "TENANT"),
        (["la-colmena", "--rotate"], "no secret"),
        (["la-colmena", "--only-signed"], "no secret"),
        (["la-colmena", "--rotate", "--revoke"], "--retire"),
        (["la-colmena", "--rotate", "--also-unsigned"], "--only-signed"),
    ],
)
def test_secrets_that_are_not_made(cli: Cli, shop: Shop, flags: list[str], named: str) -> None:
    """Exit code 2 and one line that says why."""
    cli("directory", "import", text_file("tenants.csv", TENANTS), "--data", shop.data)
    refused = cli("tenant", "secret", *flags, "--data", str(shop.data))
    assert (refused.code, named in refused.err, refused.err.count("\n")) == (2, True, 1)
    assert not shop.layout.signing.exists()


def test_tokens(cli: Cli, shop: Shop) -> None:
    """Made for a shop that exists, listed without their text, revoked once."""
    cli("directory", "import", text_file("tenants.csv", TENANTS), "--data", shop.data)
    where = ["--data", str(shop.data)]
    made = cli("token", "create", "--tenant", "la-colmena", "--expires", "90d", "--json", *where)
    token = made.json
    assert (token["tenant_id"], token["state"]) == (1, "valid")
    [listed] = cli("token", "list", "--json", *where).json["tokens"]
    assert listed == {key: token[key] for key in token if key != "token"}
    assert cli("token", "revoke", token["id"], *where).code == 0
    assert cli("token", "revoke", token["id"], *where).code == 2
    assert cli("token", "list", "--json", *where).json["tokens"][0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--tenant", "nobody"], "--tenant"),
        (["--expires", "soon"], "--expires"),
        (["--expires", "2020-01-01"], "future"),
    ],
)
def test_tokens_that_are_not_made(cli: Cli, shop: Shop, flags: list[str], named: str) -> None:
    refused = cli("token", "create", *flags, "--data", str(shop.data))
    assert (refused.code, named in refused.err) == (2, True)
