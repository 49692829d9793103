"""The tenant of a payload: an id, a UUID or a slug, by endpoint."""

import pytest
from contract_tools import UUID, refused, taken


@pytest.mark.parametrize(
    ("sent", "tenant"),
    [
        ("17", 17),
        ("0017", 17),
        (17, 17),
        (17.0, 17),
        (-1, -1),
        ("1" * 16, int("1" * 16)),
        ("1" * 17, "1" * 17),
        (UUID, UUID.lower()),
        ("Not-One", "not-one"),
        ("\u00b2", "\u00b2"),
        ("17\n", "17\n"),
    ],
)
def test_a_tracked_tenant_is_an_id_or_a_text(sent: object, tenant: object) -> None:
    """Digits are an id, a UUID is lowered, any other text is left to match nothing."""
    result = taken("track", tenant_id=sent).tenant
    assert result == tenant
    assert type(result) is type(tenant)


@pytest.mark.parametrize("sent", ["", None, 1.5, True, [], {}, 2**53, "a\0", "a" * 8193])
def test_a_tracked_tenant_of_another_form_is_refused(sent: object) -> None:
    """A value that is neither text nor an integer within the limits is refused."""
    rejection = refused("track", tenant_id=sent)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", ["tenant_id"])


@pytest.mark.parametrize(
    ("sent", "tenant"), [(17, 17), (17.0, 17), ("17", 17), ("9" * 16, 10**16 - 1)]
)
def test_an_interaction_takes_a_numeric_tenant(sent: object, tenant: int) -> None:
    """An integer or 1 to 16 digits are an id."""
    result = taken("interaction", tenant_id=sent).tenant
    assert result == tenant
    assert type(result) is int


@pytest.mark.parametrize(
    "sent", ["", "9" * 17, UUID, "17\n", " 17", "-17", "\u0661", None, 1.5, True, []]
)
def test_an_interaction_refuses_another_tenant(sent: object) -> None:
    """Text that is not 1 to 16 ASCII digits is refused."""
    rejection = refused("interaction", tenant_id=sent)
    assert (rejection.slug, list(rejection.errors)) == ("payload-invalid", ["tenant_id"])


@pytest.mark.parametrize("sent", ["", None, 5, "a" * 256, "a\0"])
def test_a_slug_of_another_form_is_refused(sent: object) -> None:
    """A slug is a text of 1 to 255 characters."""
    assert list(refused("conversion", tenant_slug=sent).errors) == ["tenant_slug"]
    assert taken("conversion", tenant_slug="9" * 255).tenant == "9" * 255
