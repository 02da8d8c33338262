"""Where the API server is and who we are: in-cluster files and kubeconfig."""

from kro.runtime.client.config.cluster import ClusterConfig, Pem, TlsSettings
from kro.runtime.client.config.load import in_cluster_config, load_config, pod_namespace

__all__ = [
    "ClusterConfig",
    "Pem",
    "TlsSettings",
    "in_cluster_config",
    "load_config",
    "pod_namespace",
]
