"""The command line of hack/generate."""

from __future__ import annotations

import argparse
import sys

from generate.files import differences, rendered_manifests, wanted_files
from support.controlplane import ControlPlaneError, ensure_tool


def main() -> int:
    options = _parser().parse_args()
    wanted = wanted_files()
    if options.check:
        found = differences(wanted)
    else:
        # First: the chart is rendered with the CRDs that are copied into it.
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if not options.no_helm:
        try:
            rendered = rendered_manifests(ensure_tool("helm", say=_say))
        except (ControlPlaneError, RuntimeError) as error:
            print(f"hack/generate: {error}", file=sys.stderr)
            return 1
        if options.check:
            found += differences(rendered)
        for path, text in rendered.items() if not options.check else ():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if options.check and found:
        print("".join(found))
        print("hack/generate: run hack/generate and commit what it writes", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hack/generate",
        description="Write the files that are made from others: the chart's copies of the CRDs "
        "(helm/crds) and its README, the locks of the image (requirements-image.lock, "
        "requirements-build.lock), the Grafana dashboard (config/grafana), the alerts in the form "
        "of the Prometheus Operator (config/prometheus), and the static manifests "
        "(config/install), which helm renders.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if anything differs")
    parser.add_argument("--no-helm", action="store_true", help="leave out what needs helm")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
