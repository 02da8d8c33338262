from __future__ import annotations

import pytest

from kro.cel import DYN, Environment, parse_template
from kro.cli.unknowns import SERVER_SET, Unknowns

ENVIRONMENT = Environment({"web": DYN, "pods": DYN, "x": DYN})


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("${web.status.replicas}", True),
        ("${web.?status.?replicas.orValue(1)}", True),
        ('${web["status"]}', True),
        ("${web}", True),
        ("${web.metadata}", True),
        ("${web.metadata.uid}", True),
        ("${web.metadata.name}", False),
        ("${web.metadata.labels.uid}", False),
        ("${web.spec.status}", False),
        ("${x.web.status}", False),
        ("${has(web.spec.a) ? 'a' : 'b'}", False),
        ("a-${web.spec.a}-${string(web.status.b)}", True),
        ("${pods.map(p, p.metadata.name)}", False),
        ("${pods.map(p, p.status.podIP)}", True),
        ("${pods[0].status.podIP}", True),
        ("${pods[0].metadata.name}", False),
        ("${pods[x].metadata.name}", False),
        ("${pods[x].metadata.uid}", True),
        ("${pods[x]}", True),
        ("${size(pods)}", False),
        ("${pods.size()}", False),
        ("${lists.range( size( pods ) )}", False),
        ("${size(pods[0].status.conditions)}", True),
        ("${[size(pods), pods]}", True),
        ("${x.status}", False),
    ],
)
def test_expression_touches_what_only_a_cluster_knows(text: str, touched: bool) -> None:
    """Judged by the paths that the text reads, also behind a fallback."""
    unknowns = Unknowns()
    unknowns.put("web", SERVER_SET)
    unknowns.put("pods", SERVER_SET)
    template = parse_template(text)
    assert template is not None

    assert unknowns.touched_by(ENVIRONMENT.compile(template)) is touched


def test_all_of_a_variable_may_be_unknown() -> None:
    """The empty path."""
    unknowns = Unknowns()
    unknowns.put("x", [()])

    assert unknowns.touched_by(ENVIRONMENT.compile("x.a.b"))
    assert unknowns.touched_by(ENVIRONMENT.compile("size(x)"))
