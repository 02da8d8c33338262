"""A real Kubernetes control plane on this machine, without a container engine.

`ControlPlane.up` gives one; `hack/control-plane` is this package's command line. It stands on the
standard library alone and knows nothing of kro, so that the scripts can use it before there is a
virtual environment and the tests without having a second copy.
"""

from support.controlplane.binaries import MissingToolError, ensure_tool
from support.controlplane.cluster import Cluster, kubectl
from support.controlplane.credentials import CONTROLLER, User
from support.controlplane.errors import ControlPlaneError
from support.controlplane.plane import (
    ControlPlane,
    down_all,
    existing_names,
    remove_abandoned,
)

__all__ = [
    "CONTROLLER",
    "Cluster",
    "ControlPlane",
    "ControlPlaneError",
    "MissingToolError",
    "User",
    "down_all",
    "ensure_tool",
    "existing_names",
    "kubectl",
    "remove_abandoned",
]
