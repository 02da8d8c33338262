"""`hack/fuzz`: random tests, on all processors, for a time or a number of inputs."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from fuzz import shards


def main(arguments: list[str]) -> int:
    """Run one of the fuzz tests; exit code 1 if it found something."""
    parser = argparse.ArgumentParser(prog="hack/fuzz", description=__doc__)
    parser.add_argument(
        "test",
        choices=("cel", "cel-garbage", "validate"),
        help="compare with cel-expr-python; or see that only author errors come out, of "
        "expressions or of whole definition files",
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="stop after so many inputs")
    parser.add_argument("--seed", type=int, default=0, help="start of the seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(arguments)
    modules = {"cel": "differential", "cel-garbage": "garbage", "validate": "validate"}
    test = f"fuzz.{modules[options.test]}"
    tally = shards.run(
        test,
        seed=options.seed,
        inputs=options.inputs,
        minutes=options.minutes,
        jobs=options.jobs,
    )
    return _report_differential(tally) if options.test == "cel" else _report_garbage(tally)


def _report_differential(tally: Any) -> int:
    for one in tally.disagreements:
        print(f"DISAGREE {one}")
    print(f"expressions: {sum(tally.results.values())} {dict(tally.results)}")
    for rule, count in tally.explained.most_common():
        print(f"explained, kro is right: {count:6} by {rule}")
    print(f"unexplained disagreements: {len(tally.disagreements)}")
    return 1 if tally.disagreements else 0


def _report_garbage(tally: Any) -> int:
    for one in tally.failures:
        print(f"FAIL {one}")
    print(
        f"inputs: {tally.inputs}, of which valid: {tally.compiled}, failures: {len(tally.failures)}"
    )
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
