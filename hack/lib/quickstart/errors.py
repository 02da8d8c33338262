"""What can go wrong; one class, its message says what was expected and what was seen."""


class QuickstartError(Exception):
    """A step did not come to its end."""
