"""How a peer's process is measured: it says what it can do, then a line of JSON per line that it reads."""

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

_ANSWERS, sys.stdout = sys.stdout, sys.stderr  # peers print


class Pieces:
    """Work that is one call from start to end, done a piece at a time.

    Args:
      train: Gets a function, which it has to call before each piece and after the last, as often as it likes. It runs
        in a thread that stands still in there until the next piece is asked for.
    """

    def __init__(self, train: Callable[[Callable[..., None]], None]):
        self._train, self._go, self._done = train, queue.Queue(), queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()
        self._done.get()

    def __call__(self) -> dict[str, float]:
        """The next piece; returns what was reported after it."""
        self._go.put(None)
        return self._done.get()

    def _run(self) -> None:
        try:
            self._train(self._report)
        except BaseException:  # the main thread would wait for ever
            traceback.print_exc()
            os._exit(1)

    def _report(self, *_, **metrics: float) -> None:
        self._done.put(metrics)
        self._go.get()


def serve(works: dict[str, Callable[[], tuple[Callable[[], Any], float]]]) -> None:
    """Answers each line, the name of a work, with how many units of it were done per second, and what it returned.

    Args:
      works: By name, a function that makes a call which blocks until it is done, and says how many units it does. Made
        and warmed up when first asked for. A dictionary that the call returns is of metrics.
    """
    made: dict[str, tuple[Callable[[], Any], float]] = {}
    print(json.dumps({"ready": list(works)}), flush=True, file=_ANSWERS)
    for line in sys.stdin:
        name = line.strip()
        if name not in made:
            made[name] = works[name]()
            made[name][0]()  # compile, or warm the caches
        work, units = made[name]
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
        answer = {"per_second": units / seconds, "seconds": seconds, **(result if isinstance(result, dict) else {})}
        print(json.dumps(answer), flush=True, file=_ANSWERS)
