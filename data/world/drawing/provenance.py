"""Record which packages a world was drawn from, and check it when a run resumes.

The same seed gives the same bytes where the same renders, photographs and typefaces are installed;
what they were is written beside the images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from creative4u.errors import InputError
from data.world.drawing.photographs import find_photographs
from data.world.drawing.typefaces import find_typefaces


def claim_stock(out: Path, renders: str, progress: Callable[[str], None]) -> None:
    """Write `out`/stock.json, or compare with the one that is there.

    Raises InputError where a run that was cut would go on with other packages than it began with.
    """
    faces = find_typefaces()
    stock = {"renders": renders, "photographs": [path.name for path in find_photographs()],
             "latin": [path.name for path in faces.latin],
             "chinese": [path.name for path in faces.chinese]}
    told = ", ".join(f"{len(names)} {kind}" for kind, names in stock.items() if kind != "renders")
    progress(f"stock: {told}")
    if not (stock["photographs"] and faces.latin and faces.chinese):
        progress("stock: photographs and typefaces come from the packages that the data card "
                 "names; without them the images are plainer, and Chinese text is boxes")
    path = out / "stock.json"
    if path.exists():
        found = json.loads(path.read_text("utf-8"))
        if changed := [kind for kind in stock if stock[kind] != found.get(kind)]:
            raise InputError(f"{out} was begun with other {', '.join(changed)} than this machine "
                             f"has now; install what {path.name} lists, or give another folder")
        return
    part = path.with_suffix(".part")
    part.write_text(json.dumps(stock, indent=1) + "\n", "utf-8")
    part.replace(path)
