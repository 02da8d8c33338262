"""What the documents say about the chart: their values and their helm commands render it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from support.chart import Helm, container_of, deployment_of, helm_program
from support.documents.blocks import ROOT, Block, pages
from support.documents.transcript import Entry, entries

BLOCKS = [block for page in pages() for block in page.blocks]
VALUES = [block for block in BLOCKS if block.kind == "yaml values"]
COMMANDS = [
    entry
    for block in BLOCKS
    if block.kind == "console checked"
    for entry in entries(block)
    if re.match(r"helm (install|upgrade)\b", entry.command)
]


@pytest.fixture(scope="module")
def helm() -> Helm:
    return Helm(helm_program())


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in VALUES])
def test_values_render_the_chart(helm: Helm, block: Block) -> None:
    """The chart's own schema takes them."""
    assert deployment_of(helm.render(yaml.safe_load(block.text)))


@pytest.mark.parametrize("entry", [pytest.param(e, id=e.command) for e in COMMANDS])
def test_commands_of_helm_render_the_chart(helm: Helm, entry: Entry, tmp_path: Path) -> None:
    """With `template` in place of what would need a cluster, helm takes every word of them."""
    for block in VALUES:
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    (tmp_path / "FILE").write_text("{}")
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    words = shlex.split(entry.command)[2:]
    arguments = [
        str(tmp_path / word) if word in ("./helm", "FILE") or (tmp_path / word).is_file() else word
        for word in words
        if word != "--install"
    ]

    text = helm("template", *arguments)

    deployment = deployment_of([d for d in yaml.safe_load_all(text) if d])
    wanted = re.search(r"image\.tag=(\S+)", entry.command)
    if wanted:
        assert container_of(deployment)["image"].endswith(f":{wanted[1]}")


def test_the_static_manifests_get_the_image_that_the_page_names() -> None:
    """The command replaces what stands there."""
    [command] = [
        entry.command.partition(" | ")[0]
        for block in BLOCKS
        if block.kind == "console checked"
        for entry in entries(block)
        if entry.command.startswith("sed ")
    ]

    done = subprocess.run(
        shlex.split(command), cwd=ROOT, capture_output=True, text=True, check=True
    )

    images = re.findall(r"^ *image: (.*)$", done.stdout, re.MULTILINE)
    assert images == ['"REGISTRY/kro:TAG"']
