"""Rows in the terminal: nothing that was counted is lost, whatever the width."""

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from service.cli.tables import Row, print_rows

COLUMNS = ["tenant_id", "slug", "whatsapp_click", "value"]
ROWS: list[Row] = [
    {"tenant_id": 1, "slug": "la-colmena", "whatsapp_click": 12_345, "value": Decimal("0.3000")},
    {"tenant_id": 22, "slug": "el-faro", "whatsapp_click": 7, "value": None},
]


def printed(columns: list[str], rows: list[Row], width: int | None = None) -> str:
    """Return the output in a terminal of that width, or in a pipe."""
    out = io.StringIO()
    terminal = {"force_terminal": True, "width": width, "no_color": True, "legacy_windows": False}
    console = Console(file=out, **(terminal if width else {}))  # type: ignore[arg-type]
    with console:
        print_rows(console, "title", columns, rows)
    return "".join(_without_escapes(out.getvalue()))


def _without_escapes(text: str) -> list[str]:
    parts = text.split("\x1b[")
    return [parts[0], *(part.partition("m")[2] for part in parts[1:])]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_a_row_of_zeros_is_shown() -> None:
    """Columns without a value are left out only beside others."""
    assert words(printed(["visits", "rate"], [{"visits": 0, "rate": None}])) == [
        ["title"],
        ["visits", "rate"],
        ["0"],
    ]


def test_in_a_pipe_a_row_is_a_line() -> None:
    """Under a title and the columns' names; an absent value is left blank."""
    assert words(printed(COLUMNS, ROWS)) == [
        ["title"],
        ["tenant", "id", "slug", "whatsapp", "click", "value"],
        ["1", "la-colmena", "12345", "0.3"],
        ["22", "el-faro", "7"],
    ]


def test_numbers_stand_right_and_text_left() -> None:
    """So that they can be compared by eye."""
    lines = printed(["slug", "whatsapp_click"], ROWS, 60).splitlines()
    first, second = (next(line for line in lines if one in line) for one in ("12345", "el-faro"))
    assert first.rstrip().endswith("12345")
    assert len(second.rstrip()) == len(first.rstrip())
    assert second.startswith("el-faro")


def test_an_empty_result_is_said() -> None:
    """Not a table without rows."""
    assert printed(COLUMNS, []) == "title: nothing to show\n"


def test_columns_that_hold_nothing_are_left_out() -> None:
    """Null, zero or empty in every row."""
    rows: list[Row] = [{"a": 1, "b": None, "c": 0, "d": ""}, {"a": 2, "b": None, "c": 0, "d": "x"}]
    assert words(printed(["a", "b", "c", "d"], rows))[1] == ["a", "d"]


def test_markup_in_a_value_is_text() -> None:
    """A shop's name drives no terminal."""
    assert "[bold]x[/bold]" in printed(["a"], [{"a": "[bold]x[/bold]"}], 80)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A table that does not fit is turned on its side, or becomes a block a row."""
    assert all(len(line.rstrip()) <= width for line in printed(COLUMNS, ROWS, width).splitlines())


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {name: st.integers(1, 10**9) for name in ("views", "cart_adds", "purchases")}
            | {"slug": st.from_regex(r"[a-z]{1,8}(-[a-z]{1,8}){0,2}", fullmatch=True)}
        ),
        min_size=1,
        max_size=5,
    ),
    width=st.integers(30, 120),
)
def test_every_number_is_printed_whole(rows: list[Row], width: int) -> None:
    """At any width of a terminal that holds a name and a number, none is cut or folded."""
    shown = printed(["slug", "views", "cart_adds", "purchases"], rows, width).split()
    for row in rows:
        for name in ("views", "cart_adds", "purchases"):
            assert str(row[name]) in shown
