"""Where the API server is and who we are.

Order, as kro (Go) looks: `--kubeconfig`; without `KUBECONFIG` the service account of the pod; the
files of `KUBECONFIG`; `~/.kube/config`.

Source: spec "API surface and operations" §7.2, "Controller runtime" P-117, P-118, P-143.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kro.runtime.client.config.cluster import ClusterConfig, Pem, TlsSettings
from kro.runtime.client.credentials import TokenFile, read_token
from kro.runtime.client.errors import ConfigurationError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load_config(
    kubeconfig: str = "",
    *,
    context: str = "",
    environment: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> ClusterConfig:
    """Return the cluster that flags, environment and files describe. Blocks; no network.

    Args:
        kubeconfig: the value of `--kubeconfig`; it then is the only file.
        context: the context to use instead of `current-context`.

    Raises:
        ConfigurationError: nothing is described, or what is described cannot work.
    """
    known = os.environ if environment is None else environment
    if kubeconfig:
        return _from_files([Path(kubeconfig)], context, known)
    named = known.get("KUBECONFIG", "")
    if not named:
        found = in_cluster_config(environment=known, service_account=service_account)
        if found is not None:
            return found
    paths = [Path(part) for part in named.split(os.pathsep) if part]
    if not paths:
        home = known.get("HOME", "")
        paths = [Path(home) / ".kube" / "config"] if home else []
    existing = [path for path in paths if path.exists()]
    if not existing:
        where = ", ".join(str(path) for path in paths) or "HOME is not set"
        raise ConfigurationError(
            f"no API server is known: this is no pod, and there is no kubeconfig ({where});"
            " set --kubeconfig or KUBECONFIG"
        )
    return _from_files(existing, context, known)


def _from_files(paths: list[Path], context: str, environment: Mapping[str, str]) -> ClusterConfig:
    from kro.runtime.client.config.kubeconfig import Kubeconfig  # late: a pod needs no YAML

    return Kubeconfig.read(paths, environment).cluster_config(context)


def in_cluster_config(
    *, environment: Mapping[str, str] | None = None, service_account: Path = SERVICE_ACCOUNT
) -> ClusterConfig | None:
    """Return the cluster that the pod runs in, or None outside a pod.

    Raises:
        ConfigurationError: the pod's service account has no usable token or CA.
    """
    known = os.environ if environment is None else environment
    host = known.get("KUBERNETES_SERVICE_HOST", "")
    port = known.get("KUBERNETES_SERVICE_PORT", "")
    token = service_account / "token"
    if not host or not port or not token.exists():
        return None
    read_token(str(token))
    authority = service_account / "ca.crt"
    if ":" in host:
        host = f"[{host}]"
    return ClusterConfig(
        server=f"https://{host}:{port}",
        namespace=pod_namespace(service_account) or "default",
        tls=TlsSettings(authority=Pem(path=str(authority)) if authority.exists() else Pem()),
        credentials=lambda: TokenFile(str(token)),
        environment=known,
        in_cluster=True,
    )


def pod_namespace(service_account: Path = SERVICE_ACCOUNT) -> str:
    """Return the namespace of the pod that we run in, or nothing outside a pod."""
    try:
        return (service_account / "namespace").read_text().strip()
    except OSError:
        return ""
