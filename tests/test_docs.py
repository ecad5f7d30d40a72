"""Documents say what the results say."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def docs_tables(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from comparison import docs_tables

    return docs_tables


def test_tables_are_those_of_the_results(docs_tables):
    shown = 0
    for document in docs_tables.DOCUMENTS:
        text = document.read_text()
        shown += text.count("<!-- table: ")
        assert docs_tables.refreshed(text) == text, f"{document.name}: run `python benchmarks/comparison report`"
    assert shown > 10


def test_an_old_table_is_replaced_and_an_unknown_one_refused(docs_tables):
    marker = "<!-- table: results/comparison/limits.md, BallRun, safe starts -->\n"
    found = docs_tables.refreshed(f"before\n\n{marker}| old |\n|---|\n\nafter\n")
    assert found.startswith(f"before\n\n{marker}| method | limit 10 |")
    assert found.endswith(" |\n\nafter\n")
    with pytest.raises(LookupError, match="no heading 'BallRum'"):
        docs_tables.refreshed("<!-- table: results/comparison/limits.md, BallRum -->\n| old |\n")
