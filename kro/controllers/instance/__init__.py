"""The instance pass: from one live instance to its resources, its status, and its end."""

from kro.controllers.instance.controller import InstanceController, Served
from kro.controllers.instance.kind import (
    Claims,
    EventRecorder,
    InstanceMetrics,
    InstanceSettings,
    NoMetrics,
    Serving,
    Unavailable,
)

__all__ = [
    "Claims",
    "EventRecorder",
    "InstanceController",
    "InstanceMetrics",
    "InstanceSettings",
    "NoMetrics",
    "Served",
    "Serving",
    "Unavailable",
]
