"""What a verb says where it cannot write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dualgnn_dist.base.errors import UserError


@contextmanager
def writing_to(folder: Path, option: str = "--output") -> Iterator[None]:
    """Around what writes into a folder that the user named with `option`.

    Raises:
        UserError: something could not be written there.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror or error}); choose another folder with {option}"
        ) from error
