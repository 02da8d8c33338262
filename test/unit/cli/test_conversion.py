from __future__ import annotations

import pytest

from kro.cli.conversion import convert_text
from kro.cli.documents import Document
from kro.cli.places import Text
from kro.cli.report import Severity
from kro.cli.yaml_nodes import read_nodes


def converted(content: str) -> tuple[str, list[str]]:
    text = Text("f.yaml", content)
    documents = [Document(text, root, explicit=True) for root in read_nodes(content)[0]]
    result, notes = convert_text(text, documents)
    assert read_nodes(result.content)[1] == [], result.content
    errors = [note.path for note in notes if note.severity is Severity.ERROR]
    return result.content, errors


def test_only_what_changes_is_changed() -> None:
    """Comments, quotes, order and white space stay as they are."""
    content = """\
# top
apiVersion: kro.run/v1alpha1   # same
kind:   "ResourceGroup"  # former
metadata: { name: x }

spec:

  schema: {apiVersion: v1, kind: X}  # schema
  resources:  []
"""

    text, errors = converted(content)

    assert text == content.replace('"ResourceGroup"', "ResourceGraphDefinition")
    assert errors == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "spec:\n  kind: X\n  apiVersion: v1\n  definition:\n    spec: {a: string}\n",
            "spec:\n  schema:\n    apiVersion: v1\n    kind: X\n    spec: {a: string}\n",
            id="block",
        ),
        pytest.param(
            "spec: {kind: X, apiVersion: v1, definition: {spec: {a: string}}}\n",
            "spec: {schema: {apiVersion: v1, kind: X, spec: {a: string}}}\n",
            id="flow",
        ),
        pytest.param(
            "spec:\n  definition: # d\n    # about\n    spec: {}\n  kind: X # k\n\n  # last\n",
            "spec:\n  schema: # d\n    # about\n    kind: X\n    spec: {}\n\n  # last\n",
            id="comments",
        ),
    ],
)
def test_definition_becomes_schema_with_its_kind(before: str, after: str) -> None:
    """`spec.kind` and `spec.apiVersion` move into `spec.schema`."""
    head = "apiVersion: x.symphony.k8s.aws/v1alpha1\nkind: ResourceGroup\n"
    new = "apiVersion: kro.run/v1alpha1\nkind: ResourceGraphDefinition\n"

    assert converted(head + before) == (new + after, [])


def test_resources_get_their_present_keys_and_expressions() -> None:
    """Expressions speak of the instance through `schema`; literals and other paths stay."""
    text, _ = converted("""\
apiVersion: kro.run/v1alpha1
kind: ResourceGroup
spec:
  resources:
    - name: a
      conditions: ["${spec.on}"]
      readyOn: ["${a.spec.x == 'spec.y' && metadata.name != \\"metadata.z\\"}"]
      definition:
        spec: {name: "x-${spec.name}-${metadata.name}", plain: spec.name}
""")

    assert (
        text.partition("resources:\n")[2]
        == """\
    - id: a
      includeWhen: ["${schema.spec.on}"]
      readyWhen: ["${a.spec.x == 'spec.y' && schema.metadata.name != \\"metadata.z\\"}"]
      template:
        spec: {name: "x-${schema.spec.name}-${schema.metadata.name}", plain: spec.name}
"""
    )


def test_what_has_no_counterpart_is_left_out_and_told() -> None:
    """The comment above it stays, the next key is not touched."""
    text, errors = converted("""\
apiVersion: kro.run/v1alpha1
kind: ResourceGroup
spec:
  # who acts
  defaultServiceAccounts:
    "*": x

  # what
  schema: {apiVersion: v1, kind: X, validation: [], spec: {}}
""")

    assert errors == ["spec.schema.validation", "spec.defaultServiceAccounts"]
    assert (
        text.partition("spec:\n")[2]
        == """\
  # who acts

  # what
  schema: {apiVersion: v1, kind: X, spec: {}}
"""
    )


def test_other_documents_of_the_file_stay() -> None:
    """Instances beside the group are none of its business."""
    content = "kind: ResourceGroup\napiVersion: kro.run/v1alpha1\n---\nkind: X\napiVersion: v1\n"

    text, _ = converted(content)

    assert text.partition("---")[2] == content.partition("---")[2]
