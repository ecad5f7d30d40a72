"""The sweep command: plan, dry run, run, resume; and what `marvel plot` does with a sweep."""

import json
import os
import shutil
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from marvel_jax.commands.options import Sweep
from marvel_jax.commands.shared import device_name, load_env_module, prepare_jax, writer_choice
from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import check_free, write_json
from marvel_jax.runs.interruption import Interrupted
from marvel_jax.sweeps import reading
from marvel_jax.sweeps import request as requests
from marvel_jax.sweeps.request import Request

# Options that say how a sweep is gone on with, not what is in it.
WITH_RESUME = {"resume", "distributed", "processes", "process", "writers", "write_every", "quiet", "json"}
WAIT_FOR_PLAN = 600.0  # seconds in which the first process of several must have planned


def sweep_command(options: Sweep) -> int:
    """Runs a sweep, or goes on with one."""
    if options.resume is None:
        path = options.out or Path("sweeps") / time.strftime("%Y%m%d-%H%M%S")
        request = requests.checked(_request(options))
        if not options.dry_run and not options.distributed and not options.process:
            check_free(path)
    else:
        path, request = options.resume, _resumed(options)
    points = requests.expand(request)
    _check(options)
    choice = writer_choice(options)
    for dataset in request.datasets.values():
        if not Path(dataset).is_file():
            raise UserError(f"There is no dataset at {dataset}.")
    prepare_jax(os.cpu_count() or 1)
    from marvel_jax.sweeps import hosts, plan

    share = hosts.join(options)
    parts = plan.groups(request, points)
    if options.dry_run:
        return _dry_run(options, request, parts)
    return _run(options, path, request, points, parts, share, choice)


def _request(options: Sweep) -> Request:
    """The request of a file, with what options change in it."""
    given: dict[str, Any] = {} if options.file is None else reading.read_file(options.file)
    load_env_module(options.env_module or given.get("env_module"))
    changes = {
        "tasks": options.tasks,
        "methods": options.methods,
        "seeds": options.seeds,
        "first_seed": options.seed,
        "preset": options.preset,
        "draws": options.draws,
        "sampler": options.sampler,
        "draw_seed": options.draw_seed,
        "env_module": options.env_module,
    }
    given |= {name: value for name, value in changes.items() if value not in (None, ())}
    tables = {
        "fixed": reading.assignments(options.fixed, "--fixed"),
        "product": reading.lists(options.product),
        "draw": reading.ranges(options.draw),
        "datasets": reading.assignments(options.datasets, "--datasets"),
    }
    merged: dict[str, Any] = {name: {**given.get(name, {}), **table} for name, table in tables.items()}
    return Request(**{**given, **merged})


def _resumed(options: Sweep) -> Request:
    from marvel_jax.sweeps.folder import SweepFolder

    assert options.resume is not None
    request, _ = SweepFolder(options.resume).read_plan()
    asked = [f.name for f in fields(Sweep) if f.name not in WITH_RESUME and getattr(options, f.name) != f.default]
    if asked:
        names = ", ".join("--" + name.replace("_", "-") for name in asked)
        raise UserError(f"--resume goes on with the sweep's own options; drop {names}, or start a new sweep.")
    if not os.access(options.resume, os.W_OK):
        raise UserError(f"{options.resume} cannot be written: no permission.")
    return request


def _check(options: Sweep) -> None:
    if options.chunk is not None and options.chunk < 1:
        raise UserError(f"--chunk is {options.chunk}; give at least 1.")
    if (options.process is None) != (options.processes is None):
        raise UserError("Give --process and --processes together.")
    if options.process is not None and options.processes is not None and not 0 <= options.process < options.processes:
        raise UserError(f"--process is {options.process} of {options.processes}; give 0 to {options.processes - 1}.")


def _dry_run(options: Sweep, request: Request, parts: list[Any]) -> int:
    from marvel_jax.runs.console import Reporter
    from marvel_jax.sweeps import memory, plan, run
    from marvel_jax.sweeps.programs import Programs

    say = Reporter(quiet=options.quiet or options.json).say
    programs = Programs(request, parts)
    sizes, needs = memory.choose_sizes(parts, programs, options.chunk, say)
    say("timing one piece of every stage")
    seconds = run.estimate(parts, sizes, programs)
    found = {
        "runs": sum(len(part.runs) for part in parts),
        "chunks": len(plan.chunks(parts, sizes)),
        "programs": programs.count,
        "available_bytes": memory.available(),
        "estimated_seconds": seconds,
        "groups": [
            {
                "group": part.label,
                "runs": len(part.runs),
                "chunk": size,
                "bytes_per_run": need.per_run,
                "dataset_bytes": need.shared,
                "bytes": need.compiled,
            }
            for part, size, need in zip(parts, sizes, needs, strict=True)
        ],
    }
    if options.json:
        print(json.dumps(found))
        return 0
    from marvel_jax.report.sweep import print_plan

    print_plan(found)
    return 0


def _run(
    options: Sweep, path: Path, request: Request, points: list[Any], parts: list[Any], share: Any, choice: Any
) -> int:
    from marvel_jax.runs.console import Reporter
    from marvel_jax.sweeps import memory, plan, run
    from marvel_jax.sweeps.folder import SweepFolder
    from marvel_jax.sweeps.programs import Programs

    clock = time.monotonic()
    folder, reporter = SweepFolder(path), Reporter(quiet=options.quiet or options.json)
    programs = Programs(request, parts)
    if options.resume is None and share.index == 0:
        check_free(path)
        runs = sum(len(part.runs) for part in parts)
        reporter.say(
            f"{runs} runs in {len(parts)} groups; {programs.count} programs to compile, one per stage of each group"
        )
        if options.chunk is None:
            sizes, _ = memory.choose_sizes(parts, programs, None, reporter.say)
        else:  # whatever the programs need: each is compiled when its chunk comes
            sizes = memory.sizes_by_shape(parts, programs, options.chunk)
        folder.create(request, points, parts, sizes)
    _wait_for(folder.plan)
    planned, sizes = folder.read_plan()
    if planned != request:
        raise UserError(f"{path} is another sweep. Give all processes the same options, and a free --out.")
    chunks = plan.chunks(parts, sizes)
    try:
        seconds = run.run(folder, chunks, programs, share, reporter, choice)
    except Interrupted:
        print(f"Interrupted. Everything is saved; go on with: marvel sweep --resume {path}", file=sys.stderr)
        return 130
    finally:
        programs.stop_compiling()  # what was begun ahead
    if not all(folder.done(chunk) for chunk in chunks):
        reporter.say("this process is done; the last of them writes the summary")
        return 0
    seconds["compile"] = programs.compile_seconds
    result = _finish(folder, request, points, {**seconds, "total": time.monotonic() - clock})
    if options.json:
        print(json.dumps({**result, "sweep": str(path)}))
    elif options.quiet:
        print(path)
    else:
        from marvel_jax.report.sweep import print_summary

        print_summary(result, str(path))
    return 0


def _wait_for(file: Path) -> None:
    """Until another process has written the plan."""
    deadline = time.monotonic() + WAIT_FOR_PLAN
    while not file.exists():
        if time.monotonic() > deadline:
            raise UserError(f"{file} has not come within {WAIT_FOR_PLAN:.0f} s: is the first process alive?")
        time.sleep(0.2)


def _finish(folder: Any, request: Request, points: list[Any], seconds: dict[str, float]) -> dict[str, Any]:
    """Writes the summary and the figures of a sweep that is done, or shows what is there already."""
    from marvel_jax.report import sweep as report

    if folder.summary.exists():
        return json.loads(folder.summary.read_text())
    result = report.summarize(folder, request, points, seconds, device_name())
    report.draw(folder, request, points, result, folder.figures)
    write_json(folder.summary, result)
    shutil.rmtree(folder.common, ignore_errors=True)
    return result


def plot_sweep(path: Path, out: Path | None) -> int:
    """Draws a sweep's figures anew, finished or not, and prints its table."""
    from marvel_jax.report import sweep as report
    from marvel_jax.sweeps.folder import SweepFolder

    folder = SweepFolder(path)
    request, _ = folder.read_plan()
    points = requests.expand(request)
    saved = json.loads(folder.summary.read_text()) if folder.summary.exists() else {}
    result = report.summarize(folder, request, points, saved.get("seconds", {}), saved.get("device", ""))
    report.print_summary(result, str(path))
    for figure in report.draw(folder, request, points, result, out or folder.figures):
        print(figure)
    return 0
