"""Libraries that a part of the program needs: imported at first use, and missed in words that say what for.

if TYPE_CHECKING:
    import polars as pl
else:
    pl = optional("polars", "preparing a store")
"""

from __future__ import annotations

import importlib
from typing import Any

from dualgnn_dist.base.errors import UserError


def optional(module: str, purpose: str, package: str | None = None) -> Any:
    """A stand-in for a module, which is imported when the first of its names is asked for.

    Args:
        module: its name.
        purpose: what needs it, for the message.
        package: by what name it is installed, where that is another.

    Raises:
        UserError: not here, but where a name is asked for and the module cannot be imported.
    """
    return _OptionalModule(module, purpose, package or module)


class _OptionalModule:
    def __init__(self, module: str, purpose: str, package: str) -> None:
        self._module, self._package = module, package
        self._purpose = purpose

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what `copy`, `pickle` or a debugger asks of any object
            raise AttributeError(name)
        try:
            module = importlib.import_module(self._module)
        except ImportError as error:
            raise UserError(
                f"{self._purpose} needs {self._module}, which cannot be imported here ({error}): "
                f"pip install {self._package}"
            ) from error
        return getattr(module, name)
