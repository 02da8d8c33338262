"""The command line of every program of a control plane."""

from __future__ import annotations

from pathlib import Path

SMALL = ("etcd", "kube-apiserver")
FULL = (*SMALL, "kube-controller-manager", "kube-scheduler", "kwok")
NODE = "simulated-0"


def etcd(folder: Path, *, client_port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return [
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",  # the data is thrown away, and the disk is not what is tested
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--quota-backend-bytes=4294967296",
    ]


def kube_apiserver(folder: Path, *, port: int, etcd_port: int, audit: bool) -> list[str]:
    key = folder / "service-account.key"
    flags = [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        # No pod here has a process that would use a token.
        "--disable-admission-plugins=ServiceAccount",
        "--enable-admission-plugins=ValidatingAdmissionPolicy",
    ]
    if audit:
        flags += [
            f"--audit-policy-file={folder / 'audit-policy.json'}",
            f"--audit-log-path={folder / 'audit.log'}",
            "--audit-log-mode=blocking",  # an answered request is in the log
            "--audit-log-maxsize=100000",
        ]
    return flags


AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def kube_controller_manager(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--leader-elect=false",
        "--secure-port=0",
        f"--service-account-private-key-file={folder / 'service-account.key'}",
        f"--root-ca-file={folder / 'certificates' / 'apiserver.crt'}",
    ]


def kube_scheduler(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def kwok(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        f"--config={Path(__file__).parent / 'stages.yaml'}",
    ]


def node() -> dict[str, object]:
    """Return a Node with room for whatever the examples and tests put on it."""
    room = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "2000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "simulated",
            },
        },
        "status": {"capacity": room, "allocatable": room},
    }
