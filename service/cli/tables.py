"""Rows on the terminal: a table if it fits, else the table on its side, else a block per row.

Numbers are aligned right and never cut or folded; text and column names wrap; columns without any
value are left out. In a pipe a table has the width that its rows need, so nothing wraps. rich draws
the tables; docs/decisions/terminal-tables.md says why it does not choose their widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from etl.plain import plain

Row = Mapping[str, object]

_PIPE_WIDTH = 10_000
_TEXT_WIDTH_MIN = 12
_SLUG_WIDTH_MAX, _FOLDED_SLUG_WIDTH = 24, 9
_GAPS = (3, 2, 1)


def print_rows(console: Console, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the rows under the names of `columns`, or one line if there are no rows."""
    if not rows:
        console.print(Text(f"{title}: nothing to show"))
        return
    filled = [name for name in columns if any(row[name] not in (None, 0, "") for row in rows)]
    filled = filled or list(columns)  # a row of zeros is an answer too
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(Text(_cell(title), style="bold"))
    for table in _layouts(filled, rows, console.width):
        console.print(table)
        console.print()


def _layouts(columns: Sequence[str], rows: Sequence[Row], width: int) -> list[Table]:
    for gap in _GAPS:
        widths = _upright_widths(columns, rows, width - gap * len(columns))
        if widths:
            return [_upright(columns, rows, widths, gap)]
    for gap in _GAPS:
        if sum(part + gap for part in _side_widths_min(columns, rows)) <= width:
            return [_on_its_side(columns, rows, gap)]
    return [_on_its_side(columns, [row], _GAPS[0]) for row in rows]


def _upright_widths(columns: Sequence[str], rows: Sequence[Row], width: int) -> list[int]:
    """Return a width per column, with text wrapped as far as needed; empty if they do not fit."""
    widths = [max(_width_min(name, rows), _longest_word(name)) for name in columns]
    spare = width - sum(widths)
    if spare < 0:
        return []
    for index, name in enumerate(columns):
        widest = max(len(name), *(len(_cell(row[name])) for row in rows))
        extra = min(spare, max(0, widest - widths[index]))
        widths[index] += extra
        spare -= extra
    return widths


def _upright(columns: Sequence[str], rows: Sequence[Row], widths: Sequence[int], gap: int) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="bold")
    for name, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(_cell(name.replace("_", " "))),
            justify="right" if _is_numeric(name, rows) else "left",
            overflow="fold",
            vertical="top",
            width=width,
        )
    for row in rows:
        table.add_row(*(Text(_cell(row[name])) for name in columns))
    return table


def _on_its_side(columns: Sequence[str], rows: Sequence[Row], gap: int) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    for _ in rows:
        table.add_column(justify="right" if len(rows) > 1 else "left", overflow="fold")
    for name in columns:
        table.add_row(
            Text(_cell(name.replace("_", " "))), *(Text(_cell(row[name])) for row in rows)
        )
    return table


def _width_min(name: str, rows: Sequence[Row]) -> int:
    widest = max(len(_cell(row[name])) for row in rows)
    return widest if _is_numeric(name, rows) else min(widest, _TEXT_WIDTH_MIN)


def _side_widths_min(columns: Sequence[str], rows: Sequence[Row]) -> list[int]:
    names = max(len(name) for name in columns)
    return [names, *(max(_side_width_min(row[name]) for name in columns) for row in rows)]


def _side_width_min(value: object) -> int:
    width = len(_cell(value))
    return _FOLDED_SLUG_WIDTH if isinstance(value, str) and width <= _SLUG_WIDTH_MAX else width


def _longest_word(name: str) -> int:
    return max(len(word) for word in name.split("_"))


def _cell(value: object) -> str:
    """Return the value as text in which nothing can control the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in plain(value))


def _is_numeric(name: str, rows: Sequence[Row]) -> bool:
    return any(isinstance(row[name], int | float | Decimal) for row in rows)
