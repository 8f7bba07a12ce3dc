"""Chooses among the configurations of a rival's Triton kernels, all of them, in bounded time.

An autotuner compiles and times every configuration of a kernel at its first call, one after the other: 370 for a layer of `retention`
forward and back, more than a second each. Here processes compile them side by side into Triton's cache on disk, where the autotuner
finds them; what is not compiled or timed when time is up is left out.
"""

import contextlib
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import phases


def alike(count: int) -> int:
    """The smallest count for which Triton compiles the same kernel: it tells one, multiples of 16, and others apart."""
    return 16 if count % 16 == 0 else count


def autotuners(package: str, kind: type) -> list:
    """The autotuners in the modules of a package, which has been imported."""
    modules = [module for name, module in list(sys.modules.items()) if module is not None and name.split(".")[0] == package]
    found = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, kind)}
    return list(found.values())


def name_of(tuner) -> str:
    return tuner.base_fn.__name__


@contextlib.contextmanager
def recording(kind: type):
    """Kernels that are called inside are not run: the list that it gives gets them, with their arguments."""
    calls = []
    with mock.patch.object(kind, "run", lambda tuner, *given, **options: calls.append((tuner, given, options))):
        yield calls


def jobs(calls: list) -> list:
    """Every call with every configuration, first ones first: whenever time is up, no kernel is without any."""
    found = []
    for tuner, given, options in calls:
        tuner.nargs = dict(zip(tuner.arg_names, given))
        found += [(number, tuner, given, options, config) for number, config in enumerate(tuner.prune_configs(options))]
    return [job[1:] for job in sorted(found, key=lambda job: job[0])]


def compile_share(calls: list, rank: int, count: int) -> None:
    """Compiles every `count`th job and prints a line of JSON for each."""
    for tuner, given, options, config in jobs(calls)[rank::count]:
        start = time.monotonic()
        result = {"kernel": name_of(tuner), "config": str(config)}
        try:
            launch = {key: value for key, value in options.items() if key != "warmup"}
            tuner.fn.warmup(*given, **launch, **config.all_kwargs())
        except Exception as error:
            # Most often more shared memory than there is; the autotuner would pass it over, too.
            result["failed"] = f"{type(error).__name__}: {error}"
        print(json.dumps(result | {"seconds": time.monotonic() - start}), flush=True)


def compile_all(command: list[str], processes: int, limit: float) -> list[dict]:
    """What the processes `command --share RANK/COUNT` have compiled after `limit` seconds, when they are stopped."""
    start = time.monotonic()
    phases.put(f"{processes} processes compile kernels ...")
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / str(rank) for rank in range(processes)]
        running = []
        for rank, output in enumerate(outputs):
            with output.open("w") as file:
                share = [*command, "--share", f"{rank}/{processes}"]
                # All would say the same.
                running.append(subprocess.Popen(share, stdout=file, stderr=None if rank == 0 else subprocess.DEVNULL))
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(start + limit - time.monotonic(), 0))
        in_time = all(process.poll() is not None for process in running)
        for process in running:
            process.kill()
            process.wait()
        # The last line may be cut off.
        lines = [line for output in outputs for line in output.read_text().split("\n")[:-1]]
    results = [json.loads(line) for line in lines if line.startswith("{")]
    done = sum("failed" not in result for result in results)
    end = "" if in_time else ", stopped"
    phases.put(f"{done} configurations compiled, {len(results) - done} failed{end}: {time.monotonic() - start:.1f} s")
    return results


def keep_compiled(tuners: list, results: list[dict]) -> None:
    """Leaves the autotuners what has been compiled, or their first configuration where nothing has.

    They neither read nor write choices on disk: those would be of other shapes.
    """
    compiled = {(result["kernel"], result["config"]) for result in results if "failed" not in result}
    for tuner in tuners:

        def prune(configs, named, tuner=tuner, before=tuner.early_config_prune, **options):
            chosen = before(configs, named, **options) if before else configs
            return [config for config in chosen if (name_of(tuner), str(config)) in compiled] or chosen[:1]

        tuner.early_config_prune = prune
        tuner.cache_results = False


@contextlib.contextmanager
def timing(kind: type, limit: float):
    """Autotuners time no more configurations after `limit` seconds, but one of every kernel; gives the counts of what they did."""
    end = time.monotonic() + limit
    bench = kind._bench
    counts = {"timed": 0, "left_out": 0}
    # The arguments of the call for which a kernel has a configuration that works.
    served = {}

    def bounded(tuner, *given, config, **options):
        if time.monotonic() > end and served.get(id(tuner)) is tuner.nargs:
            counts["left_out"] += 1
            return [math.inf] * 3
        seconds = bench(tuner, *given, config=config, **options)
        counts["timed"] += 1
        if seconds[0] < math.inf and served.get(id(tuner)) is not tuner.nargs:
            served[id(tuner)] = tuner.nargs
            phases.put(f"{name_of(tuner)} is tuned")
        return seconds

    with mock.patch.object(kind, "_bench", bounded):
        yield counts
