"""What ends a check."""

from __future__ import annotations


class ImageError(Exception):
    """The image cannot be built, or is not as it should be; the message says what and where."""
