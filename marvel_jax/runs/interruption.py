"""Ctrl-C: at once where nothing is worth saving, between two pieces of work where something is."""

import signal
import threading
from types import FrameType
from typing import Any

RETRY = 0.01  # seconds


class Interrupted(Exception):
    """The user asked to stop; everything so far is saved."""


def raise_at_once() -> None:
    """Makes Ctrl-C raise KeyboardInterrupt in this process, wherever it is."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _interrupt)


class StopRequest:
    """Turns the first Ctrl-C (or SIGTERM) into a request that is honoured between chunks; a second one kills."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            _interrupt(number, frame)
        self.asked = True


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Python drops exceptions of its garbage collector's callbacks. JAX has one, which is what runs much of the time
    # while functions are traced: there the signal comes again in a moment.
    if frame is not None and frame.f_code.co_name == "_xla_gc_callback":
        threading.Timer(RETRY, signal.raise_signal, [number]).start()
    else:
        raise KeyboardInterrupt
