"""The chart's README: every value with its default and what its schema says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

HEAD: Final = """\
<!-- Generated from values.yaml and values.schema.json by hack/generate; do not edit. -->
# The kro chart

```console
helm install kro helm --namespace kro-system --create-namespace
```

The values of the chart of kro (Go) mean the same here. Three things differ:

- Values that the chart does not know, and values of a wrong type, are refused.
- 8 definitions, 8 revisions and 16 instances are reconciled at once by default, not one of each.
- `serviceAccount.automount` has an effect.

Helm installs CRDs once and never updates them; after `helm upgrade`, apply those of the chart:

```console
helm show crds helm | kubectl apply --server-side --filename=-
```

`helm uninstall` leaves CRDs, definitions and instances where they are; a new release takes them
over.

The versions in Chart.yaml are stamped when a release is packaged, and with them the image's tag:

```console
helm package helm --version 1.2.3 --app-version 1.2.3
```

## Values

| value | default | |
|---|---|---|
"""


def readme(chart: Path) -> str:
    """Return the text of the chart's README.md."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())
    return HEAD + "".join(
        f"| `{path}` | {_shown(default)} | {description} |\n"
        for path, default, description in _rows(values, schema, "")
    )


def _rows(
    values: Mapping[str, Any], schema: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, object, str]]:
    """Yield the values in the order of values.yaml, down to where the schema leaves them open."""
    for name, default in values.items():
        described = schema["properties"][name]
        path = f"{prefix}{name}"
        if described.get("additionalProperties") is False:
            yield from _rows(default, described, f"{path}.")
        else:
            yield path, default, described["description"]


def _shown(default: object) -> str:
    return f"`{json.dumps(default)}`"
