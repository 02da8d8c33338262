"""What can go wrong here; one class, its message says what to do."""


class ControlPlaneError(Exception):
    """The control plane could not be brought to the wanted state."""
