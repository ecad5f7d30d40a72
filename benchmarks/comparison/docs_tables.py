"""Tables in documents, kept equal to those of the results.

A document says where a table is from, in a comment on the line before it, and `python benchmarks/comparison report`
puts the present one there:

    <!-- table: results/comparison/limits.md, BallRun, safe starts -->

The words after the file, if any, are the heading under which the table is; without them it is the file's first.
"""

import re
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
DOCUMENTS = (BENCHMARKS.parent / "README.md", *sorted((BENCHMARKS.parent / "docs").glob("*.md")))
_TABLE = r"(?:^\|.*\n)+"
_SHOWN = re.compile(rf"^<!-- table: ([^,\n]+?)(?:, ([^\n]+))? -->\n({_TABLE})", re.MULTILINE)


def refreshed(text: str) -> str:
    """A document's text with the results' present tables.

    Raises:
      LookupError: If a file has no such heading, or no table under it.
    """
    return _SHOWN.sub(lambda found: found[0].removesuffix(found[3]) + _table(found[1], found[2]), text)


def _table(file: str, heading: str | None) -> str:
    text = (BENCHMARKS / file).read_text()
    if heading:
        under = re.search(rf"^#+ {re.escape(heading)}\n", text, re.MULTILINE)
        if not under:
            raise LookupError(f"{file} has no heading {heading!r}")
        text = text[under.end() :].split("\n#", 1)[0]
    table = re.search(_TABLE, text, re.MULTILINE)
    if not table:
        raise LookupError(f"{file} has no table" + (f" under {heading!r}" if heading else ""))
    return table[0]


def refresh() -> None:
    """Rewrites the documents whose tables have changed."""
    for document in DOCUMENTS:
        before = document.read_text()
        after = refreshed(before)
        if after != before:
            document.write_text(after)
            print(f"{document.name}: new tables")
