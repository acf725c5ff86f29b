"""How kernels are compiled: one decorator for all of them."""

from __future__ import annotations

from numba import njit

kernel = njit(nogil=True, cache=True)
kernel_ieee = njit(nogil=True, cache=True, error_model="numpy")  # a division by zero is infinite, not an error
