"""Progress bars on standard error, and the callback that long computations report to."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Report(Protocol):
    """Called by long computations: `report(done, total, note)`; `done` and `total` in any one unit."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Tell how far the work is."""


def silent(done: float, total: float, note: str = "") -> None:
    """Ignore progress."""


@contextmanager
def progress_bar(description: str) -> Iterator[Report]:
    """Show a bar named `description`; yield the callback that moves it. Plain lines when not on a terminal."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _plain_lines(description)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=None, note="")

        def report(done: float, total: float, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield report


def _plain_lines(description: str) -> Report:
    last_tenth = -1

    def report(done: float, total: float, note: str = "") -> None:
        nonlocal last_tenth
        tenth = int(10 * done / total) if total else 10
        if tenth != last_tenth:
            last_tenth = tenth
            print(f"{description}: {10 * tenth}% {note}".rstrip(), file=sys.stderr, flush=True)

    return report
