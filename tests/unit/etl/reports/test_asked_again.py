"""Reports of one view, one after another: later ones read rows that were copied for all."""

from pathlib import Path

import pytest
from report_tools import Asked, directory_of, street, visits_of_two

from etl import reports
from etl.reports import Question

TEXTS = {"tenant": "1", "from": "2026-11-23", "to": "2026-11-25", "interval": "day"}


def test_a_report_is_the_same_on_a_view_that_answered_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each report: half of the rows are in the lake, half in the log."""
    shop = Asked(tmp_path / "data")
    directory_of(shop)
    visits_of_two(shop)
    shop.compact()
    street(shop)
    names = shop.view.names()
    monkeypatch.setattr(shop.view, "names", lambda: names)
    monkeypatch.setattr(shop.view._kept, "clock", lambda: 0.0)
    with shop.view.connect(tenant=1) as con:
        for name in reports.names():
            known = reports.load(name).parameters
            texts = {key: text for key, text in TEXTS.items() if key in known}
            expected = reports.execute(con, Question(name, texts))
            answered = shop.ask(name, **texts)
            assert (name, answered.rows) == (name, expected.rows)
            assert answered.parameters == expected.parameters
    (used,) = shop.view._kept._idle
    assert used._copy is not None
    rows = used.con.execute(f"SELECT count(*) FROM {used._copy.table}").fetchone()
    assert rows == (18,)
    assert len(used._copy._idle) == 1  # the reader that answered one after the other
