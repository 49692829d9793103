"""The words of a refusal: the fields at fault and how many, in printable text."""

import copy

import pytest
from contract_tools import EVERY, METHODS, MINIMAL, UUID, refused, refused_body, taken


@EVERY
@pytest.mark.parametrize("body", [None, [], "x", 5, True, [{}]])
def test_a_body_that_is_no_object_is_refused(name: str, body: object) -> None:
    """The fault of a body as a whole stands under body."""
    rejection = refused_body(name, body)
    assert rejection.errors == {"body": ["The body must be an object."]}
    assert rejection.slug == "payload-invalid"


def test_the_message_is_the_first_error_and_counts_the_others() -> None:
    """One sentence tells the first fault and how many more there are."""
    two = refused_body("track", {})
    assert two.message == "The tenant_id field is required. (and 1 more error)"
    assert two.slug == "field-missing"
    three = refused_body("track", {"metadata": 5})
    assert three.message == "The tenant_id field is required. (and 2 more errors)"
    assert three.slug == "payload-invalid"


def test_long_names_are_shortened_and_control_characters_masked() -> None:
    """A property's name appears as at most 64 printable characters."""
    assert list(refused("track", metadata={"n" * 500: "\0"}).errors) == ["metadata." + "n" * 64]
    assert list(refused("track", metadata={"a\nb": "\0"}).errors) == ["metadata.a?b"]


def test_at_most_twenty_fields_are_named() -> None:
    """Ten thousand faults are told as twenty."""
    rejection = refused("track", metadata={f"k{n}": "\0" for n in range(10_000)})
    assert len(rejection.errors) == 20


def test_a_fault_at_the_end_of_much_that_is_sound_is_found() -> None:
    """Size hides no fault."""
    rejection = refused("track", metadata={"x": [0] * 30_000 + ["\0"]})
    assert list(rejection.errors) == ["metadata.x.30000"]


@EVERY
def test_bodies_are_left_alone(name: str) -> None:
    """Neither reading nor explaining changes the body, and metadata is a copy."""
    body = {**MINIMAL[name], "metadata": {"a": 1}, "event_id": UUID, "product_id": 5.0}
    for each in (body, {**body, "metadata": {"a": "\0"}}):
        before = copy.deepcopy(each)
        METHODS[name](each)
        assert each == before
    assert taken(name, metadata=body["metadata"]).metadata is not body["metadata"]
