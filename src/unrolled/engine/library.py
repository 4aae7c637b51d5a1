"""Finding the compiled extension, choosing its instruction set and its number of threads.

Environment variables, read once at import:

* ``UNROLLED_ENGINE=off`` switches the extension off.
* ``UNROLLED_SIMD=avx512|avx2|neon|generic`` forces one instruction set (an error if the processor lacks it).
* ``UNROLLED_NUM_THREADS=n`` sets the number of threads; the default is torch's number where torch is in use,
  else one a core that this process may use.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import warnings
from types import ModuleType

from unrolled.errors import OptionError

_ISA_NUMBERS = {"generic": 0, "avx2": 1, "avx512": 2}
_IS_ARM = platform.machine().lower() in {"arm64", "aarch64"}


def _load() -> tuple[ModuleType | None, str]:
    if os.environ.get("UNROLLED_ENGINE", "").strip().lower() == "off":
        return None, "switched off by UNROLLED_ENGINE=off"
    try:
        return importlib.import_module("unrolled.engine._native"), ""
    except ImportError as error:
        return None, f"the compiled extension is missing or does not load ({error})"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _asked_threads() -> int | None:
    text = os.environ.get("UNROLLED_NUM_THREADS", "").strip()
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise OptionError(
            f"UNROLLED_NUM_THREADS is {text!r}; give a whole number of at least 1, or unset it."
        )
    return int(text)


_native, _reason = _load()
_threads = _asked_threads()
_cores = _usable_cores()
_isa = 0 if _native is None else int(_native.best_isa())
_warned = False
_openmp_shared = False


def available() -> bool:
    """Whether the compiled engine can be used."""
    return _native is not None


def reason() -> str:
    """Why the compiled engine cannot be used; empty if it can."""
    return _reason


def notify_missing() -> None:
    """Warn, once a process, that slower code without the engine runs. Silent if it was switched off."""
    global _warned
    if _native is None and not _warned:
        _warned = True
        if "UNROLLED_ENGINE" not in _reason:
            warnings.warn(
                f"Unrolled runs without its compiled engine and is slower: {_reason}. "
                "Reinstall it where a C++17 compiler is available to get the engine.",
                RuntimeWarning,
                stacklevel=3,
            )


def native() -> ModuleType:
    """The extension module.

    Raises:
        RuntimeError: if it is not available; ask :func:`available` first.
    """
    global _openmp_shared
    if _native is None:
        raise RuntimeError(f"the compiled engine is not available: {_reason}")
    if not _openmp_shared and "torch" in sys.modules:
        # Two pools of waiting threads would fight for the cores; so we run on the one that torch has started.
        _native.adopt_openmp()
        _openmp_shared = True
    return _native


def simd() -> str:
    """Name of the instruction set in use: ``"avx512"``, ``"avx2"``, ``"neon"`` or ``"generic"``."""
    if _isa == 0 and _IS_ARM:
        return "neon"
    return next(name for name, number in _ISA_NUMBERS.items() if number == _isa)


def simd_choices() -> list[str]:
    """Instruction sets that this processor can run, best first. Empty without the extension."""
    if _native is None:
        return []
    best_first = sorted(_ISA_NUMBERS, key=_ISA_NUMBERS.__getitem__, reverse=True)
    names = [name for name in best_first if _native.isa_supported(_ISA_NUMBERS[name])]
    return ["neon" if name == "generic" and _IS_ARM else name for name in names]


def set_simd(name: str) -> None:
    """Use one instruction set from now on. float64 runs on the generic one, except in the CRF.

    Raises:
        OptionError: if this processor (or this build) does not have it.
    """
    global _isa
    choices = simd_choices()
    if name not in choices:
        offered = ", ".join(choices) or "none, since the extension is missing"
        raise OptionError(f"instruction set {name!r} cannot be used here; choose one of: {offered}.")
    _isa = _ISA_NUMBERS["generic" if name == "neon" else name]


def isa_number() -> int:
    """The instruction set in use, as the extension counts them."""
    return _isa


def set_num_threads(count: int | None) -> None:
    """Run later calls on up to ``count`` threads; ``None``: the default. Results do not depend on it.

    Raises:
        OptionError: if ``count`` is less than 1.
    """
    global _threads
    if count is not None and count < 1:
        raise OptionError(f"the number of threads is {count}; give at least 1.")
    _threads = count


def get_num_threads() -> int:
    """Threads that later calls may use: the number set; else torch's, once imported; else one a core."""
    if _threads is not None:
        return _threads
    torch_threads = getattr(sys.modules.get("torch"), "get_num_threads", None)
    return _cores if torch_threads is None else int(torch_threads())


_forced = os.environ.get("UNROLLED_SIMD", "").strip().lower()
if _forced and _native is not None:
    set_simd(_forced)
