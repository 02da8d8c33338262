"""The composition root: the one place that picks concrete classes and ties them together."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass

from kro import __version__, names
from kro.controllers.definition.controller import (
    DEFINITIONS,
    OWNER_INDEX,
    DefinitionController,
)
from kro.controllers.definition.serving import ServedKinds
from kro.controllers.crd import CRDS, owner_of
from kro.controllers.instance import Claims, InstanceController, InstanceSettings
from kro.controllers.kinds import CRD_SCOPE, KIND_INDEX, Kinds, group_kind, kind_key
from kro.errors import KroError
from kro.graph import Gates, Limits
from kro.logs import get_logger
from kro.metrics import Metrics
from kro.metrics.recorders import (
    ClientRecorder,
    ControllerRecorder,
    DefinitionRecorder,
    InformerRecorder,
    InstanceRecorder,
    QueueRecorder,
)
from kro.refs import GVK, Mapped
from kro.runtime import (
    Controller,
    Coordinator,
    Event,
    Informed,
    Informers,
    LoopClock,
    Manager,
    Priority,
    Registry,
    Scope,
    Slots,
    Stored,
)
from kro.runtime.client import Client, Transport, load_config
from kro.runtime.client import Limits as ClientLimits
from kro.runtime.discovery import Discovery
from kro.runtime.server import Endpoints, HttpServer, parse_address
from kro.settings import Settings

LEASE: str = "controller.kro.run"
DEFINITION_CONTROLLER: str = "ResourceGraphDefinition"


@dataclass(slots=True)
class Parts:
    """What one controller process is made of."""

    client: Client
    informers: Informers
    coordinator: Coordinator
    registry: Registry
    definitions: Controller
