"""Tests of the training comparison's parts that need no GPU; those of the model need a PyTorch of any kind."""

import contextlib
import importlib.util
import io
import json
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest
import zlib
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import compare
import compare_training
import flops
import phases
import power_train
import report
import train_peer
import training_report
import tuning
from cases import OURS

HAS_TORCH = importlib.util.find_spec("torch") is not None


class FlopsTests(unittest.TestCase):
    def test_what_power_flops_prints(self):
        shape = flops.Shape()
        self.assertEqual(flops.weights(shape), 509_607_936)
        self.assertEqual(flops.head(shape), 231_584_256)
        self.assertEqual(flops.exponential(shape, 65_536), 4_227_922_944)
        self.assertEqual(flops.power(shape, 65_536), 303_528_456)
        for context, expected in [(1_024, 66.1), (16_384, 297.1), (262_144, 305.1)]:
            self.assertAlmostEqual(flops.power(shape, context) / 1e6, expected, delta=0.05)
        self.assertEqual(flops.per_token(shape, 1_024, "power"), flops.per_token(shape, 1_024, "exponential"))


class ReportTests(unittest.TestCase):
    def result(self, name, rate, **more):
        return {"name": name, "context": 65_536, "sequences": 1, "tokens_per_second": rate, "ms_per_step": 65_536e3 / rate} | more

    def test_our_line_is_found(self):
        line = json.dumps({"tokens_per_second": 5e5, "ms_per_step": 131.0, "peak_memory_bytes": 1})
        found = training_report.parse_ours(f'starts\n{{"step": 1}}\n{line}\n[1]\n')
        self.assertEqual(found, [{"name": OURS, "tokens_per_second": 5e5, "ms_per_step": 131.0, "peak_memory_bytes": 1}])
        self.assertEqual(training_report.parse_ours("nothing\n"), [])

    def test_our_steps_are_summed_up(self):
        rates = [1.0] * power_train.WARMUP + [100.0, 300.0, 200.0, 2.0]
        records = [{"tokens_per_second": rate, "memory": 7, "loss": 9 - n, "seconds": n + 1} for n, rate in enumerate(rates)]
        records.insert(3, {"step": 4, "reason": "spike", "loss": 1, "gradient_norm": "inf", "seconds": 3, "skipped": 1})
        found = power_train.summary(records, 1_000)
        self.assertEqual((found["tokens_per_second"], found["ms_per_step"]), (200, 5_000))
        self.assertEqual((found["first_loss"], found["first_step_seconds"], found["peak_memory_bytes"]), (9, 1, 7))

    def test_page(self):
        results = [
            self.result("retention", 2e5, first_step_seconds=180.4, environment={"PyTorch": "2.11"}),
            self.result(OURS, 6e5, environment={"card": "H100"}),
            self.result("cudnn", 1e5, peak_memory_bytes=40e9),
            {"name": "flash", "context": 65_536, "sequences": 1, "failed": "Traceback\nOutOfMemoryError: a | b"},
        ]
        page = training_report.page(results, 989.4)
        rows = [line for line in page.splitlines() if line.startswith("| 65,536 × 1")]
        self.assertEqual(rows[0], "| 65,536 × 1 | power-attention | 109.2 | 600,000 | – | 63.4% | – | – |")
        self.assertEqual(rows[1], "| 65,536 × 1 | SDPA cuDNN | 655.4 | 100,000 | 6.00× | 50.2% | 40.0 GB | – |")
        self.assertEqual(rows[2], "| 65,536 × 1 | SDPA flash | failed: OutOfMemoryError: a / b | – | – | – | – | – |")
        self.assertEqual(rows[3], "| 65,536 × 1 | retention (Triton) | 327.7 | 200,000 | 3.00× | 21.1% | – | 180 s |")
        self.assertIn("card H100", page)
        self.assertIn("No results.", training_report.page([], 989.4))


class DriverTests(unittest.TestCase):
    def test_commands(self):
        options = compare_training.arguments(["--power", "/bin/power", "--peer-options", "--compile whole", "--steps", "7"])
        self.assertEqual(options.sizes, [(65_536, 1), (1_024, 64)])
        ours = compare_training.command(OURS, 1_024, 64, options)
        self.assertEqual(ours[1:], [
            str(compare_training.OUR_TRAINING), *"--power /bin/power --context 1024 --sequences 64 --steps 7".split()])
        peer = compare_training.command("flash", 1_024, 64, options)
        self.assertEqual(peer[1:3], [str(compare_training.PEER), "flash"])
        with contextlib.redirect_stderr(io.StringIO()):
            parsed = train_peer.parser().parse_args(peer[2:])
        self.assertEqual((parsed.context, parsed.sequences, parsed.steps, parsed.compile), (1_024, 64, 7, "whole"))

    def test_options(self):
        for options in [["--steps", "0"], ["--sizes", "65536"], ["--sizes", "0x1"], ["--sizes", "1x-1"], ["--only", "gla"]]:
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
                compare_training.arguments(options)
        faults = [["--context", "0"], ["--heads", "7"], ["--warm-up", "0"], ["--processes", "-1"], ["--limits", "9", "0", "9"]]
        for options in [*(["retention", *fault] for fault in faults), ["unknown"]]:
            process = subprocess.run([sys.executable, train_peer.__file__, *options], capture_output=True, text=True)
            self.assertEqual(process.returncode, 2, process.stderr)

    def test_a_run_with_a_program_of_ours(self):
        """All of the driver, with a stand-in for `power`, and one that fails."""
        with tempfile.TemporaryDirectory() as folder:
            power, log = Path(folder) / "power", Path(folder) / "log"
            # `train … --context N … -o FOLDER`; it fails at a context of 64.
            script = '#!/bin/sh\ncase "$*" in *"--context 64 "*) echo "no memory" >&2; exit 1;; esac\n'
            script += 'for folder; do :; done\nmkdir -p "$folder"\nfor n in 1 2 3 4 5 6 7 8; do\n'
            line = json.dumps({"tokens_per_second": 655360, "memory": 1, "loss": 1, "seconds": 1})
            power.write_text(script + f"echo '{line}' >> \"$folder/metrics.jsonl\"\ndone\n")
            power.chmod(0o755)
            command = [sys.executable, compare_training.__file__, "--power", str(power), "--only", OURS, "--json", str(log)]
            process = subprocess.run([*command, "--sizes", "65536x1", "64x4"], capture_output=True, text=True)
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertIn("| 65,536 × 1 | power-attention | 100.0 | 655,360 |", process.stdout)
            self.assertIn("| 64 × 4 | power-attention | failed: no memory |", process.stdout)
            self.assertEqual([json.loads(line)["context"] for line in log.read_text().splitlines()], [65_536, 64])


class PhaseTests(unittest.TestCase):
    def test_the_end_of_a_phase(self):
        log = io.StringIO()
        with contextlib.redirect_stderr(log), phases.phase("quick", 60):
            pass
        self.assertRegex(log.getvalue(), r"^\[ *[0-9.]+ s\] quick \.\.\.\n\[ *[0-9.]+ s\] quick: 0\.0 s\n$")
        with contextlib.redirect_stderr(log), self.assertRaisesRegex(phases.OutOfTime, "slow: not done in 0.05 s"):
            with phases.phase("slow", 0.05):
                time.sleep(20)
        # Nothing is left that could end another phase.
        with contextlib.redirect_stderr(log), phases.phase("next", 60):
            time.sleep(0.1)

    def test_where_a_program_was(self):
        self.assertEqual(report.place("[   1.0 s] a ...\n[  12.5 s] tuning ...\nFile x\n"), ": [  12.5 s] tuning ...")
        self.assertEqual(report.place("Traceback\n"), "")

    def test_a_program_that_does_not_end_is_stopped_with_what_it_started(self):
        script = "import subprocess, sys, time; print('[   0.1 s] sleeping', file=sys.stderr, flush=True); "
        script += "print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            log = Path(folder) / "log"
            found = compare.run("flash", [sys.executable, "-c", script], time.monotonic() + 2, log_path=log)
            self.assertEqual(found[-1]["failed"], "stopped, out of time: [   0.1 s] sleeping")
            self.assertIn("sleeping", log.read_text())


class StandInTuner:
    """What `tuning` uses of Triton's autotuner."""

    def __init__(self, name, configs, prune=None):
        self.base_fn = types.SimpleNamespace(__name__=name)
        self.fn, self.configs, self.arg_names, self.early_config_prune = self, configs, ["x"], prune
        self.cache_results, self.compiled, self.timed, self.nargs = True, [], [], None

    def prune_configs(self, options):
        return self.early_config_prune(self.configs, self.nargs, **options) if self.early_config_prune else self.configs

    def warmup(self, x, **options):
        if options["size"] == 3:
            raise ValueError("too large")
        self.compiled.append(options)

    def _bench(self, x, config, **options):
        self.timed.append(config.size)
        return [float("inf") if config.size == 1 else 1.0 * config.size] * 3

    def run(self, x, **options):
        self.nargs = {"x": x}
        timings = {config: self._bench(x, config=config, **options) for config in self.prune_configs(options)}
        return min(timings, key=timings.get).size


class StandInConfig:
    def __init__(self, size):
        self.size = size

    def __str__(self):
        return f"size {self.size}"

    def all_kwargs(self):
        return {"size": self.size}


class TuningTests(unittest.TestCase):
    def test_counts_of_the_same_kernel(self):
        self.assertEqual([tuning.alike(count) for count in [1, 2, 15, 16, 64, 65]], [1, 2, 15, 16, 16, 65])

    def test_autotuners_of_a_package(self):
        tuner = StandInTuner("a", [])
        modules = {"rival.x": mock.Mock(spec=[], kernel=tuner, other=3), "rival": mock.Mock(spec=[], kernel=tuner),
                   "rivalry": mock.Mock(spec=[], kernel=StandInTuner("b", []))}
        with mock.patch.dict(sys.modules, modules):
            self.assertEqual(tuning.autotuners("rival", StandInTuner), [tuner])

    def test_shares_are_all_of_the_jobs_and_first_ones_come_first(self):
        configs = [StandInConfig(size) for size in [1, 2, 3, 4]]
        with tuning.recording(StandInTuner) as calls:
            StandInTuner("a", configs).run(5, grid=7, warmup=False)
            StandInTuner("b", configs, lambda configs, named, **_: configs[:2]).run(6, grid=8, warmup=False)
        self.assertEqual([job[1] for job in tuning.jobs(calls)], [(5,), (6,), (5,), (6,), (5,), (5,)])
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            for rank in range(4):
                tuning.compile_share(calls, rank, 4)
        results = [json.loads(line) for line in output.getvalue().splitlines()]
        pairs = sorted((result["kernel"], result["config"]) for result in results)
        self.assertEqual(pairs, [("a", f"size {n}") for n in [1, 2, 3, 4]] + [("b", "size 1"), ("b", "size 2")])
        self.assertEqual([result["failed"] for result in results if "failed" in result], ["ValueError: too large"])
        self.assertEqual(calls[0][0].compiled[0], {"grid": 7, "size": 1})

    def test_what_is_not_compiled_is_not_tried(self):
        configs = [StandInConfig(size) for size in [1, 2, 3, 4]]
        some, none = StandInTuner("a", configs), StandInTuner("b", configs)
        results = [{"kernel": "a", "config": f"size {size}"} for size in [2, 4]]
        tuning.keep_compiled([some, none], results + [{"kernel": "b", "config": "size 2", "failed": "no"}])
        self.assertEqual((some.run(0), none.run(0)), (2, 1))
        self.assertEqual((some.timed, none.timed, some.cache_results), ([2, 4], [1], False))

    def test_when_time_is_up_every_kernel_gets_one_that_works(self):
        configs = [StandInConfig(size) for size in [1, 4, 3, 2]]
        for limit, timed, best in [(0, [1, 4], 4), (60, [1, 4, 3, 2], 2)]:
            tuner = StandInTuner("a", configs)
            with contextlib.redirect_stderr(io.StringIO()), tuning.timing(StandInTuner, limit) as counts:
                found = [tuner.run(0), tuner.run(1)]
            self.assertEqual((found, tuner.timed), ([best] * 2, timed * 2))
            self.assertEqual(counts, {"timed": 2 * len(timed), "left_out": 2 * (4 - len(timed))})

    def test_processes_are_stopped_and_what_they_did_counts(self):
        script = "import sys, time; print('{\"kernel\": \"' + sys.argv[2] + '\"}', flush=True); print('{', end='', flush=True); "
        script += "time.sleep(60 * int(sys.argv[2][0]))"
        log = io.StringIO()
        with contextlib.redirect_stderr(log):
            start = time.monotonic()
            results = tuning.compile_all([sys.executable, "-c", script], 2, 2)
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual([result["kernel"] for result in results], ["0/2", "1/2"])
        self.assertIn("2 configurations compiled, 0 failed, stopped", log.getvalue())


@unittest.skipUnless(HAS_TORCH, "needs PyTorch")
class ModelTests(unittest.TestCase):
    tiny = "--device cpu --layers 2 --width 64 --heads 2 --vocabulary 300 --compile none --learning-rate 3e-3".split()

    def train(self, *arguments):
        return train_peer.train(train_peer.parser().parse_args([*arguments, *self.tiny]))

    def test_the_loss_goes_down(self):
        for mixer in ["math", "definition"]:
            result = self.train(mixer, "--context", "64", "--sequences", "2", "--steps", "12", "--warm-up", "2", "--loss-rows", "50")
            self.assertAlmostEqual(result["first_loss"], 5.7, delta=0.2)
            self.assertLess(result["last_loss"], result["first_loss"] - 0.5)
            self.assertAlmostEqual(result["tokens_per_second"] * result["ms_per_step"], 128e3, delta=1)

    def test_size_of_the_model(self):
        import torch

        import gpt

        with torch.device("meta"):
            count = sum(parameter.numel() for parameter in gpt.GPT(gpt.Settings(vocabulary=50_257)).parameters())
        # 12·768² in each of 12 layers, the embedding, and 25 norms with weight and bias.
        self.assertEqual(count, 12 * 12 * 768**2 + 50_257 * 768 + 25 * 2 * 768)

    def test_loss_in_chunks(self):
        import torch
        import torch.nn.functional as F

        import gpt

        torch.manual_seed(2)
        targets = torch.randint(0, 30, (17,))
        leaves = [torch.randn(17, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)]
        copies = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        (3 * F.cross_entropy(leaves[0] @ leaves[1].T, targets)).backward()
        for rows in [5, 17, 100]:
            loss = gpt.ChunkedCrossEntropy.apply(*copies, targets, rows)
            (3 * loss).backward()
            for leaf, copy in zip(leaves, copies):
                torch.testing.assert_close(copy.grad, leaf.grad, rtol=1e-5, atol=1e-6)
                copy.grad = None

    def test_recomputation_changes_nothing(self):
        import torch

        import gpt

        gradients = []
        for recompute in [False, True]:
            torch.manual_seed(3)
            gpt.select_sdpa("math")
            model = gpt.GPT(gpt.Settings(flops.Shape(2, 32, 2), 50, "math", recompute=recompute, residual=torch.float32))
            tokens = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(1))
            model(tokens[:, :-1], tokens[:, 1:]).backward()
            gradients.append([parameter.grad for parameter in model.parameters()])
        for first, second in zip(*gradients):
            torch.testing.assert_close(first, second)

    def test_a_mixer_that_does_not_compile(self):
        """The first step is done again with the mixer hidden from the compiler; what fails without one is an error."""
        import torch

        import gpt

        def compiler(graph, _):
            if "cumsum" in graph.code:
                raise RuntimeError("no cumulative sums")
            return graph.forward

        compiled = torch.compile
        arguments = train_peer.parser().parse_args(
            ["definition", *self.tiny, "--context", "16", "--sequences", "1", "--steps", "1", "--warm-up", "1", "--compile", "block"])
        with contextlib.ExitStack() as patches:
            patches.enter_context(contextlib.redirect_stderr(io.StringIO()))
            patches.enter_context(
                mock.patch.object(torch, "compile", lambda function, **more: compiled(function, backend=compiler, **more)))
            patches.enter_context(mock.patch.object(gpt.ChunkedCrossEntropy, "step"))
            found = train_peer.train(arguments)
            self.assertEqual((found["compiled"], found["opaque_mixer"]), ("block", True))
            patches.enter_context(mock.patch.object(gpt, "mixing", lambda settings: None))
            with self.assertRaises(Exception):
                train_peer.train(arguments)

    def test_a_compiler_that_does_not_end(self):
        """The step is done without one, and the program does not wait for it."""
        import torch

        def compiler(graph, _):
            time.sleep(60)
            return graph.forward

        compiled = torch.compile
        arguments = train_peer.parser().parse_args(
            ["definition", *self.tiny, "--context", "16", "--sequences", "1", "--steps", "1", "--warm-up", "1", "--compile", "block",
             "--limits", "1", "1", "3"])
        log = io.StringIO()
        with contextlib.redirect_stderr(log), mock.patch.object(
                torch, "compile", lambda function, **more: compiled(function, backend=compiler, **more)):
            try:
                found = train_peer.train(arguments)
            finally:
                torch.compiler.set_stance("default")
        self.assertEqual((found["compiled"], found["opaque_mixer"]), ("none", True))
        self.assertIn("first step, without a compiler: ", log.getvalue())

    def test_windows_of_a_token_file(self):
        tokens, ends = list(range(100)), [30, 60, 100]
        header = struct.pack("<8sIIQQQ", b"PWRTOKEN", 1, 2, 100, 3, 200)
        table = struct.pack("<3Q", 2 * ends[0], 2 * ends[1] + 1, 2 * ends[2])
        header += struct.pack("<II", zlib.crc32(table), 4) + b"gpt2".ljust(76, b"\0")
        header += struct.pack("<I", zlib.crc32(header))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokens"
            path.write_bytes(header + struct.pack("<100H", *tokens) + table)
            found = train_peer.windows(str(path), 12, 99, 200)
            self.assertEqual(sorted(window[0] for window in found.tolist()), [0, 12, 60, 72, 84])
            self.assertTrue(all(window == list(range(window[0], window[0] + 12)) for window in found.tolist()))
            for arguments in [(41, 1, 200), (12, 99, 90)]:
                with self.assertRaises(SystemExit):
                    train_peer.windows(str(path), *arguments)
            result = self.train("math", "--context", "11", "--sequences", "2", "--steps", "2", "--data", str(path))
            self.assertGreater(result["first_loss"], 0)


if __name__ == "__main__":
    unittest.main()
