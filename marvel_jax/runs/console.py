"""What a person sees while a run goes on: a live display in a terminal, plain lines elsewhere, nothing when quiet."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_EVERY = 5.0  # seconds between lines when output is not a terminal


class Reporter:
    """Progress of stages on standard error; results go to standard output elsewhere.

    In a terminal: one live bar per stage with reward, cost, multiplier and the time left. Otherwise a plain line every
    few seconds and at each stage's end.
    """

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self.console = Console(stderr=True, quiet=quiet)
        self._live = self.console.is_terminal and not quiet
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._stage, self._unit, self._total = "", "", 0
        self._began = self._last_line = 0.0
        self._start = 0

    def __enter__(self) -> "Reporter":
        if self._live:
            self._progress = Progress(
                TextColumn("[bold]{task.description:9}"),
                BarColumn(bar_width=24),
                TextColumn("{task.completed:.0f}/{task.total} {task.fields[unit]}"),
                TextColumn("{task.fields[shown]}"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._progress.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress:
            self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._progress:
            self._progress.console.print(text, highlight=False)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def begin(self, stage: str, unit: str, total: int, done: int = 0) -> None:
        """A stage starts (or goes on after `done` of `total`)."""
        self._stage, self._unit, self._total, self._start = stage, unit, total, done
        self._began, self._last_line = time.monotonic(), 0.0
        if self._progress:
            self._bar = self._progress.add_task(stage, total=total, completed=done, unit=unit, shown="compiling")
        else:
            self.say(f"{stage}: {total} {unit}, compiling")

    def update(self, done: float, shown: dict[str, float], detail: str = "") -> None:
        """`done` of the stage's total, with the numbers to show and what else there is to say."""
        text = "  ".join([*([detail] if detail else []), *(f"{name} {_short(value)}" for name, value in shown.items())])
        if self._progress and self._bar is not None:
            self._progress.update(self._bar, completed=done, shown=text)
            return
        now = time.monotonic()
        if done < self._total and now - self._last_line < PLAIN_EVERY:
            return
        self._last_line = now
        rate = (now - self._began) / max(done - self._start, 1e-9)
        left = "" if done >= self._total else f"  ETA {_clock(rate * (self._total - done))}"
        self.say(f"{self._stage}: {int(done)}/{self._total} {self._unit}  {text}  {_clock(now - self._began)}{left}")


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
