from __future__ import annotations

from pathlib import Path

import pytest

from kro.cli.workspace import Workspace, open_workspace
from kro.settings import UsageError

HEAD = "apiVersion: kro.run/v1alpha1\nkind: ResourceGraphDefinition\n"


def definition(name: str, uses: str = "", *, extra: str = "") -> str:
    """Return a definition of `K<name>` that creates a `K<uses>`, or a ConfigMap."""
    api_version, kind = ("kro.run/v1", f"K{uses}") if uses else ("v1", "ConfigMap")
    return f"""{HEAD}metadata: {{name: {name}}}
spec:
  schema: {{apiVersion: v1, kind: K{name}, spec: {{size: integer}}}}
  resources:
    - id: child
      template:
        apiVersion: {api_version}
        kind: {kind}
        metadata: {{name: "${{schema.metadata.name}}"}}
        {extra}
"""


def opened(folder: Path, **files: str) -> Workspace:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return open_workspace([str(folder)])


def messages(workspace: Workspace) -> list[str]:
    return [f"{found.path}: {found.message}" for found in workspace.diagnostics]


@pytest.mark.parametrize("order", ["abc", "cba", "bac"])
def test_definitions_use_each_others_kinds_whatever_their_order(tmp_path: Path, order: str) -> None:
    """The kind of one definition is known to all others, with its schema."""
    texts = {
        "a": definition("a", "b", extra="spec: {size: '${schema.spec.size}'}"),
        "b": definition("b", "c"),
        "c": definition("c"),
    }
    files = {f"{i}{name}": texts[name] for i, name in enumerate(order)}

    workspace = opened(tmp_path, **files)

    assert messages(workspace) == []
    assert all(one.graph is not None for one in workspace.definitions)


def test_schema_of_a_generated_kind_is_held(tmp_path: Path) -> None:
    """A field that the generated kind lacks is an error where it is used."""
    wrong = definition("a", "b", extra="spec: {sice: 1}")

    workspace = opened(tmp_path, a=wrong, b=definition("b"))

    assert ["spec.resources[0].template.spec.sice" in text for text in messages(workspace)] == [
        True
    ]


def test_broken_definition_does_not_break_those_that_use_it(tmp_path: Path) -> None:
    """They see its kind as untyped."""
    broken = definition("b").replace("size: integer", "size: int")

    workspace = opened(tmp_path, a=definition("a", "b", extra="spec: {any: 1}"), b=broken)

    assert len(workspace.diagnostics) == 1
    assert workspace.diagnostics[0].path == "spec.schema.spec.size"


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_cycle_of_definitions_is_an_error_in_each(tmp_path: Path, cycle: list[str]) -> None:
    """None of the kinds could ever come into being; who only uses the cycle is well."""
    files = {name: definition(name, cycle[(i + 1) % len(cycle)]) for i, name in enumerate(cycle)}

    workspace = opened(tmp_path, **files, user=definition("user", "a"))

    assert len(workspace.diagnostics) == len(cycle)
    assert all("to be there before" in found.message for found in workspace.diagnostics)


def test_kind_and_name_are_generated_once(tmp_path: Path) -> None:
    """The second definition is the one to change."""
    workspace = opened(tmp_path, a=definition("x"), b=definition("x"))

    assert [found.path for found in workspace.diagnostics] == ["metadata.name", "spec.schema.kind"]
    assert all(found.file.endswith("b.yaml") for found in workspace.diagnostics)


def test_items_of_a_list_are_documents(tmp_path: Path) -> None:
    """`kubectl get -o yaml` prints a List."""
    items = "".join(
        "  - " + definition(name).replace("\n", "\n    ").rstrip() + "\n" for name in "ab"
    )

    workspace = opened(tmp_path, all=f"apiVersion: v1\nkind: List\nitems:\n{items}")

    assert [one.document.name for one in workspace.definitions] == ["a", "b"]
    assert messages(workspace) == []


def test_instances_get_defaults_and_are_held_to_the_schema(tmp_path: Path) -> None:
    """As the API server would do it."""
    text = definition("a").replace("size: integer", 'size: "integer | default=3 maximum=5"')
    good = "apiVersion: kro.run/v1\nkind: Ka\nmetadata: {name: good}\nspec: {}\n"
    bad = "apiVersion: kro.run/v1\nkind: Ka\nmetadata: {name: bad}\nspec: {size: 9}\n"

    workspace = opened(tmp_path, a=text, b=good, c=bad)

    assert messages(workspace) == ["spec.size: must be at most 5"]
    assert workspace.instances[0].value["spec"] == {"size": 3}


def test_instance_of_a_broken_definition_is_not_judged(tmp_path: Path) -> None:
    """There is nothing to judge it by."""
    broken = definition("a").replace("size: integer", "size: int")
    instance = "apiVersion: kro.run/v1\nkind: Ka\nmetadata: {name: x}\nspec: {whatever: 1}\n"

    workspace = opened(tmp_path, a=broken, b=instance)

    assert len(workspace.diagnostics) == 1
    assert [document.name for document in workspace.unchecked] == ["x"]


def test_other_manifests_are_left_alone_in_folders_only(tmp_path: Path) -> None:
    """A folder may hold anything; a file that the user names should be a manifest."""
    (tmp_path / "values.yaml").write_text("a: 1\n")
    (tmp_path / "config.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    (tmp_path / "notes.txt").write_text("{{{")

    assert messages(open_workspace([str(tmp_path)])) == []
    assert messages(open_workspace([str(tmp_path / "values.yaml")])) == [
        "apiVersion: a manifest has apiVersion and kind"
    ]


def test_file_that_is_not_there_is_a_wrong_command_line(tmp_path: Path) -> None:
    """No verdict can be given."""
    with pytest.raises(UsageError, match="no such file"):
        open_workspace([str(tmp_path / "missing.yaml")])
    with pytest.raises(UsageError, match="holds no"):
        open_workspace([str(tmp_path)])


def test_bytes_that_are_no_utf8_are_an_error_with_their_place(tmp_path: Path) -> None:
    """And no traceback."""
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xc3\xa9\xff\n")

    [found] = open_workspace([str(tmp_path)]).diagnostics

    assert (found.line, found.column) == (2, 5)
    assert "0xff" in found.message


def test_errors_of_one_manifest_are_bounded(tmp_path: Path) -> None:
    """A file of mistakes gives a list that somebody may read."""
    fields = "".join(f"  f{i}: 1\n" for i in range(5000))

    workspace = opened(tmp_path, a=definition("a") + fields)

    assert 100 <= len(workspace.diagnostics) <= 110
    assert "4900 more errors" in workspace.diagnostics[-1].message


def test_kind_of_a_crd_among_the_files_is_known(tmp_path: Path) -> None:
    """As with --crds."""
    crd = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kbs.kro.run}
spec:
  group: kro.run
  names: {kind: Kb, plural: kbs}
  scope: Cluster
  versions: [{name: v1, served: true, schema: {openAPIV3Schema: {type: object}}}]
"""
    broken = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {}\n"

    workspace = opened(tmp_path, a=definition("a", "b"), crd=crd)
    assert messages(workspace) == []

    [error] = opened(tmp_path, broken=broken).diagnostics
    assert "spec.group" in error.message
