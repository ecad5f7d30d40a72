"""The steps of running a sweep: its plan, its folder, its chunks, its result."""

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marvel_jax.commands._options import Output
from marvel_jax.commands._shared import device_name
from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import check_free, write_json
from marvel_jax.runs.interruption import Interrupted

if TYPE_CHECKING:
    from marvel_jax.runs.console import Reporter
    from marvel_jax.runs.writers import WriterChoice
    from marvel_jax.sweeps.executor import Share
    from marvel_jax.sweeps.folder import SweepFolder
    from marvel_jax.sweeps.plan import Chunk, Group
    from marvel_jax.sweeps.programs import Programs
    from marvel_jax.sweeps.request import Point, Request

WAIT_FOR_PLAN = 600.0  # seconds in which the first process of several must have planned


@dataclass(frozen=True)
class Job:
    """A sweep to run.

    Attributes:
      folder: Where it is, or will be.
      request, points: What is in it.
      groups: Its runs, by the program that they share.
      programs: Of the groups.
      reporter, output: What is shown on the way and at the end.
    """

    folder: "SweepFolder"
    request: "Request"
    points: list["Point"]
    groups: list["Group"]
    programs: "Programs"
    reporter: "Reporter"
    output: Output

    @classmethod
    def make(cls, path: Path, request: "Request", points: list["Point"], output: Output) -> "Job":
        """The job of a request. Nothing is written or compiled yet."""
        from marvel_jax.runs.console import Reporter
        from marvel_jax.sweeps.folder import SweepFolder
        from marvel_jax.sweeps.plan import group_runs
        from marvel_jax.sweeps.programs import Programs

        groups, reporter = group_runs(request, points), Reporter(quiet=output.quiet or output.json)
        return cls(SweepFolder(path), request, points, groups, Programs(request, groups), reporter, output)

    def show_plan(self, chunk: int | None) -> int:
        """Prints what running it would take; returns the exit status."""
        found = self._plan(chunk)
        if self.output.json:
            print(json.dumps(found))
            return 0
        from marvel_jax.report.sweep_table import print_plan

        print_plan(found)
        return 0

    def _plan(self, chunk: int | None) -> dict[str, Any]:
        """Chunks, memory and time, for JSON."""
        from marvel_jax.sweeps.estimate import estimate
        from marvel_jax.sweeps.memory import available, choose_sizes
        from marvel_jax.sweeps.plan import chunks

        sizes, needs = choose_sizes(self.groups, self.programs, chunk, self.reporter.say)
        self.reporter.say("timing one piece of every stage")
        seconds = estimate(self.groups, sizes, self.programs)
        return {
            "runs": self._run_count,
            "chunks": len(chunks(self.groups, sizes)),
            "programs": self.programs.count,
            "available_bytes": available(),
            "estimated_seconds": seconds,
            "groups": [
                {
                    "group": group.label,
                    "runs": len(group.runs),
                    "chunk": size,
                    "bytes_per_run": need.per_run,
                    "dataset_bytes": need.shared,
                    "bytes": need.compiled,
                }
                for group, size, need in zip(self.groups, sizes, needs, strict=True)
            ],
        }

    @property
    def _run_count(self) -> int:
        return sum(len(group.runs) for group in self.groups)

    def create(self, chunk: int | None) -> None:
        """Cuts a new sweep into chunks, of `chunk` runs if it is not None, and makes its folder."""
        from marvel_jax.sweeps.memory import choose_sizes, sizes_by_shape

        check_free(self.folder.path)
        self.reporter.say(
            f"{self._run_count} runs in {len(self.groups)} groups; {self.programs.count} programs to compile, one per "
            "stage of each group"
        )
        if chunk is None:
            sizes, _ = choose_sizes(self.groups, self.programs, None, self.reporter.say)
        else:  # whatever the programs need: each is compiled when its chunk comes
            sizes = sizes_by_shape(self.groups, self.programs, chunk)
        self.folder.create(self.request, self.points, self.groups, sizes)

    def run(self, share: "Share", choice: "WriterChoice", began: float) -> int:
        """Does this process's share, and the summary if all chunks are done then.

        Args:
          share: Of the chunks.
          choice: Which writers get the curves.
          began: When the command began, by `time.monotonic`.

        Returns:
          The exit status.
        """
        from marvel_jax.sweeps.executor import Sweep

        chunks = self._chunks()
        try:
            seconds = Sweep(self.folder, self.programs, self.reporter, choice).run(share.of(chunks))
        except Interrupted:
            place = self.folder.path
            print(f"Interrupted. Everything is saved; go on with: marvel sweep --resume {place}", file=sys.stderr)
            return 130
        finally:
            self.programs.stop_compiling()  # what was begun ahead
        if not all(self.folder.done(chunk) for chunk in chunks):
            self.reporter.say("this process is done; the last of them writes the summary")
            return 0
        seconds["compile"] = self.programs.compile_seconds
        self._show(self._summary({**seconds, "total": time.monotonic() - began}))
        return 0

    def _chunks(self) -> list["Chunk"]:
        """The chunks that the sweep was cut into, by this process or by another."""
        from marvel_jax.sweeps.plan import chunks

        _wait_for(self.folder.plan)
        planned, sizes = self.folder.read_plan()
        if planned != self.request:
            place = self.folder.path
            raise UserError(f"{place} is another sweep. Give all processes the same options, and a free --out.")
        return chunks(self.groups, sizes)

    def _summary(self, seconds: dict[str, float]) -> dict[str, Any]:
        """The summary; writes it, with the figures, if no process has done so."""
        from marvel_jax.report.sweep_figures import draw
        from marvel_jax.report.sweep_summary import summarize

        folder = self.folder
        if folder.summary.exists():
            return json.loads(folder.summary.read_text())
        result = summarize(folder, self.request, self.points, seconds, device_name())
        draw(folder, self.request, self.points, result, folder.figures)
        write_json(folder.summary, result)
        shutil.rmtree(folder.common, ignore_errors=True)
        return result

    def _show(self, result: dict[str, Any]) -> None:
        """Prints the result."""
        place = str(self.folder.path)
        if self.output.json:
            print(json.dumps({**result, "sweep": place}))
        elif self.output.quiet:
            print(place)
        else:
            from marvel_jax.report.sweep_table import print_summary

            print_summary(result, place)


def _wait_for(file: Path) -> None:
    """Until another process has written the plan."""
    deadline = time.monotonic() + WAIT_FOR_PLAN
    while not file.exists():
        if time.monotonic() > deadline:
            raise UserError(f"{file} has not come within {WAIT_FOR_PLAN:.0f} s: is the first process alive?")
        time.sleep(0.2)
