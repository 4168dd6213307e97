"""Tables on the terminal."""

from collections.abc import Sequence


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, notes: Sequence[str] = ()) -> None:
    print(f"\n{title}")
    for note in notes:
        print(f"  {note}")
    cells = [[str(value) for value in row] for row in rows]
    sizes = [max(len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        print("  " + "  ".join(text.rjust(size) for text, size in zip(row, sizes, strict=True)))
    print(end="", flush=True)
