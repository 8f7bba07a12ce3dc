"""Tests of the parts that need no GPU: python3 -m unittest discover Benchmarks/peers"""

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import compare
import report
from cases import OURS, cases


def result(name, milliseconds, width=64, length=65_536, mode="forward", **more):
    about = {"width": width, "length": length, "batch": 65_536 // length, "pass": mode}
    return {"name": name, "milliseconds": milliseconds} | about | more


class ReportTests(unittest.TestCase):
    def test_parsing_passes_over_other_lines(self):
        text = 'autotuning ...\n{"name": "gla", "pass": "forward"}\n{"other": 1}\n[1]\n{broken\n'
        self.assertEqual(report.parse(text), [{"name": "gla", "pass": "forward"}])

    def test_times_and_ratios(self):
        results = [result(OURS, 2.0), result("flash", 15.0), result("gla", 0.5)]
        table = report.times(results, cases("65,536, d = 64, fwd")[:1], [OURS, "flash", "gla", "cudnn"])
        row = table.splitlines()[2]
        self.assertEqual(row, "| 65,536, d = 64, fwd | 2 ms | 15 ms (7.50×) | – | 0.5 ms (0.25×) |")

    def test_without_ours_there_are_no_ratios(self):
        table = report.times([result("flash", 15.0)], cases("65,536, d = 64, fwd")[:1], ["flash"])
        self.assertIn("| 15 ms |", table)

    def test_failures_are_named(self):
        some = cases("65,536, d = 64")
        failed = {"name": "gla", "width": 64, "length": 65_536, "batch": 1, "pass": "both", "failed": "Traceback\nRuntimeError: a | b\n"}
        rows = report.times([failed, {"name": "retention", "failed": "stopped, out of time"}], some, ["gla", "retention"]).splitlines()
        self.assertEqual(rows[3], "| 65,536, d = 64, fwd + bwd | failed: RuntimeError: a / b | failed: stopped, out of time |")
        self.assertIn("| – | failed: stopped, out of time |", rows[2])

    def test_page(self):
        decode = {"width": 64, "length": 1, "batch": 32, "pass": "decode", "gbytes_per_second": 2_000.0}
        results = [
            result(OURS, 2.0, card="H100", driver="580", commit="abc", compile_seconds=3.5),
            {"name": OURS, "milliseconds": 0.1} | decode,
            {"name": "copy", "gbytes_per_second": 2_500.0},
            {"name": OURS, "errors": {"y": 2.5e-3, "dq": 3e-3}},
            {"name": "gla", "accuracy_failed": "RuntimeError: Hopper"},
        ]
        page = report.page(results, cases(), [OURS, "copy", "gla"])
        self.assertIn("card H100, driver 580, commit abc.", page)
        self.assertIn("80% of the card's copy speed of 2,500 GB/s", page)
        self.assertIn("| power-attention | 2.5e-03 | 3.0e-03 | – | – | – |", page)
        self.assertIn("failed: RuntimeError: Hopper", page)
        self.assertIn("First call: power-attention 3.5 s.", page)

    def test_programs_that_fail_or_hang(self):
        import time

        def run(script, seconds=20.0):
            return compare.run("gla", [sys.executable, "-c", script], time.monotonic() + seconds)

        line = 'print(\'{"name": "gla", "milliseconds": 1}\', flush=True)'
        self.assertEqual(run(line), [{"name": "gla", "milliseconds": 1}])
        self.assertEqual(run(f"{line}; raise SystemExit('no GPU')")[-1]["failed"], "no GPU")
        hanging = run(f"{line}; import time; time.sleep(60)", seconds=2.0)
        self.assertEqual([hanging[0]["milliseconds"], hanging[1]["failed"]], [1, "stopped, out of time"])
        self.assertEqual(run(line, seconds=-1.0)[0]["failed"], "not started, out of time")
        self.assertIn("No such file", compare.run("gla", ["/does/not/exist"], time.monotonic() + 5)[0]["failed"])

    def test_options(self):
        script = str(Path(__file__).parent / "compare.py")
        for options in [["--rounds", "0"], ["--cases", "d = 7"], ["--only", "unknown"]]:
            process = subprocess.run([sys.executable, script, *options], capture_output=True, text=True)
            self.assertEqual(process.returncode, 2)
        process = subprocess.run([sys.executable, script, "--only", OURS], capture_output=True, text=True)
        self.assertEqual(process.returncode, 0)
        self.assertIn("| 65,536, d = 64, fwd |", process.stdout)


if __name__ == "__main__":
    unittest.main()
