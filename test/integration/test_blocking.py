# ruff: noqa: E501 - definitions stand here as authors write them
"""P-146: from the first connection to the last deletion nothing waits on the loop's thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kro.runtime.client import transport as transport_module
from kro.runtime.client.credentials import TokenFile
from support.blocking import no_blocking_calls
from support.inprocess import in_process
from support.kube import is_ready

PAIR = """
schema: {kind: Pair, spec: {v: string}, status: {v: "${b.data.v}"}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: "${schema.spec.v}"}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: "${a.data.v}"}}
"""


async def test_nothing_blocks_the_loop(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token file and TLS files that are looked at before every single request."""
    monkeypatch.setattr(transport_module, "RECHECK_S", 0.0)
    monkeypatch.setattr(TokenFile.__init__, "__kwdefaults__", {"recheck_s": 0.0})
    config = yaml.safe_load(cluster.controller_kubeconfig.read_text())
    user = config["users"][0]["user"]
    if "token" in user:  # somebody else's cluster may know us by a certificate
        (tmp_path / "token").write_text(user.pop("token"))
        user["tokenFile"] = str(tmp_path / "token")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))

    async with in_process(kubeconfig) as (controller, lab):
        # The schemas of the test's own definition come from files of the package.
        graph = await controller.serve(lab, PAIR)
        gvr = graph.instance.mapped.gvr
        with no_blocking_calls() as blocking:
            await lab.create("Pair", "one", {"v": "x"})
            await lab.kube.until(gvr, "one", is_ready, lab.namespace)
            await lab.delete("Pair", "one")
            await lab.kube.until_gone(gvr, "one", lab.namespace)
        await lab.close()

    assert blocking == []
