"""`hack/conformance`: run suites, print every failing case, count."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from conformance.suite import Case, Mismatch, Skip, Suite

HERE = Path(__file__).parent
CASES = HERE / "cases"


def suites() -> tuple[dict[str, Suite], dict[str, str]]:
    """Return all suites by name, and by name, too, why a suite cannot be imported."""
    found: dict[str, Suite] = {}
    broken: dict[str, str] = {}
    for path in sorted((HERE / "suites").glob("*.py")):
        try:
            module = importlib.import_module(f"conformance.suites.{path.stem}")
        except ImportError as error:
            broken[path.stem.replace("_", "-")] = str(error)
        else:
            found.update({suite.name: suite for suite in _exported(module)})
    return found, broken


def _exported(module: Any) -> tuple[Suite, ...]:
    several: tuple[Suite, ...] | None = getattr(module, "SUITES", None)
    if several is not None:
        return tuple(several)
    if isinstance(module.SUITE, Suite):
        return (module.SUITE,)
    return (Suite(module.SUITE, module.FILE, module.load, module.run),)


def source(suite: Suite, cases: Path | None) -> Path:
    """Return the file or folder that a suite reads."""
    if suite.file:
        return (cases or CASES) / suite.file
    if cases is not None:
        inner = cases / suite.name
        return inner if inner.is_dir() else cases
    given = os.environ.get("KRO_CEL_SPEC")
    return Path(given) if given else HERE.parents[1].parent / "shared/conformance" / suite.name


def load(suite: Suite, cases: Path | None) -> list[Case] | None:
    """Return the cases of a suite, None if its file is not there."""
    path = source(suite, cases)
    if not path.exists():
        return None
    if path.is_dir():
        return list(suite.load(path))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as stream:
        document: Any = yaml.load(stream, Loader=loader)
    return list(suite.load(document))


@dataclass
class Result:
    """The outcome of one suite."""

    passed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def run(suite: Suite, cases: list[Case]) -> Result:
    """Run all cases of a suite."""
    result = Result()
    for case in cases:
        try:
            outcome = suite.run(case)
        except Mismatch as mismatch:
            result.failed.append((case.name, str(mismatch)))
        except Exception as error:  # noqa: BLE001 - a case that breaks us has failed
            result.failed.append((case.name, _described(error)))
        else:
            if isinstance(outcome, Skip):
                result.skipped[outcome.reason] += 1
            else:
                result.passed += 1
    return result


def _described(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


def _report(name: str, result: Result) -> Iterator[str]:
    for case, reason in result.failed:
        yield f"FAIL {name}/{case}: {reason}"
    for reason, count in sorted(result.skipped.items()):
        yield f"SKIP {name}: {count} cases: {reason}"
    yield (
        f"{name}: {result.passed} passed, {len(result.failed)} failed, "
        f"{sum(result.skipped.values())} skipped"
    )


def main(arguments: list[str]) -> int:
    """Run the suites that the command line names; all if it names none."""
    known, broken = suites()
    parser = argparse.ArgumentParser(
        prog="hack/conformance",
        description="Run conformance suites; exit code 1 if a case fails, 2 on wrong usage.",
        epilog=f"suites: {' '.join(sorted(known))}",
    )
    parser.add_argument("suite", nargs="*", metavar="SUITE", help="which suites; default: all")
    parser.add_argument(
        "--cases", type=Path, metavar="DIR", help="take the suites' case files from this folder"
    )
    options = parser.parse_args(arguments)
    names: list[str] = options.suite or sorted(known | broken)
    unknown = [name for name in names if name not in known and name not in broken]
    if unknown:
        parser.error(f"unknown suite {', '.join(unknown)}; there are: {' '.join(sorted(known))}")
    if options.cases is not None and not options.cases.is_dir():
        parser.error(f"{options.cases} is no folder")
    failed = False
    for name in names:
        if name in broken:
            print(f"{name}: cannot be imported: {broken[name]}")
            failed = True
            continue
        cases = load(known[name], options.cases)
        if cases is None:
            where = source(known[name], options.cases)
            if known[name].file and options.suite:
                parser.error(f"{name}: {where} does not exist")
            print(f"{name}: skipped, {where} does not exist")
            continue
        result = run(known[name], cases)
        print("\n".join(_report(name, result)), flush=True)
        failed = failed or bool(result.failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
