"""What names the control planes of one test session."""

from __future__ import annotations

import pytest

SESSION_KEY = pytest.StashKey[str]()
"""In every worker's configuration and the session's own: the same name, `pytest-<process id>`."""
