"""How a peer's process is measured: it prints `ready` once warm, then a line of JSON per line that it reads."""

import json
import sys
import time
from collections.abc import Callable


def serve(works: dict[str, tuple[Callable[[], None], float]]) -> None:
    """Answers each line, the name of a work, with how many units of it were done per second.

    Args:
      works: By name, a call that blocks until it is done, and how many units it does.
    """
    for work, _ in works.values():
        work()  # compile, or warm the caches
    print(json.dumps({"ready": list(works)}), flush=True)
    for line in sys.stdin:
        work, units = works[line.strip()]
        start = time.perf_counter()
        work()
        print(json.dumps({"per_second": units / (time.perf_counter() - start)}), flush=True)
