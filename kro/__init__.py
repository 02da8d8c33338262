"""Kube Resource Orchestrator: one definition, a served and type-checked API."""

__version__ = "0.1.0"
