"""Begin a process that will judge: import what is used of transformers, in one go."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

# of transformers' own imports: for assisted generation, and for the losses of object detectors
UNUSED = ("sklearn", "scipy")


@contextlib.contextmanager
def beginning() -> Iterator[None]:
    """Inside, modules and weights are loaded without garbage collection.

    Little that is made while loading is garbage, but the collector looks through all of it again
    and again; it does not later either.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def import_all() -> None:
    """Import what judges and what looks, but not what transformers imports for other uses.

    That takes a fifth off the time. In this process transformers then goes without scikit-learn
    and SciPy; everything else can import them as ever.
    """
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be found
    try:
        import transformers.models.idefics3.modeling_idefics3
        import transformers.models.idefics3.processing_idefics3  # noqa: F401

        import creative4u.backbone.conse
        import creative4u.backbone.saliency
        import creative4u.selector.backends.local  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
