"""What a world was drawn from is written down, and a run that was cut goes on with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from creative4u.errors import InputError
from data.world.drawing import provenance
from data.world.drawing.typefaces import Typefaces


def test_a_run_goes_on_only_with_what_it_began_with(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    photographs = [Path("lake-0123456789ab.jpg"), Path("pine-wood-ba9876543210.jpg")]
    faces = Typefaces((Path("NotoSans-Bold.ttf"),), (Path("NotoSansCJK-Bold.ttc"),))
    monkeypatch.setattr(provenance, "find_photographs", lambda: tuple(photographs))
    monkeypatch.setattr(provenance, "find_typefaces", lambda: faces)
    said: list[str] = []
    for _ in range(2):
        provenance.claim_stock(tmp_path, "renders@1", said.append)
    assert said == ["stock: 2 photographs, 1 latin, 1 chinese"] * 2
    assert json.loads((tmp_path / "stock.json").read_text()) == {
        "renders": "renders@1", "photographs": [path.name for path in photographs],
        "latin": ["NotoSans-Bold.ttf"], "chinese": ["NotoSansCJK-Bold.ttc"]}
    photographs.pop()
    faces = Typefaces()
    with pytest.raises(InputError, match="other photographs, latin, chinese than"):
        provenance.claim_stock(tmp_path, "renders@1", said.append)
    assert said[-1].endswith("Chinese text is boxes")
