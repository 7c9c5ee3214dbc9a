"""The weights that ship: small, readable, and better than the mean on products held out."""

import json
from importlib.resources import files
from pathlib import Path

from safetensors import safe_open

from creative4u.ctr.cold_start.scorer import WEIGHTS, load_scorer


def test_the_shipped_weights_say_what_they_reached() -> None:
    path = Path(str(files("creative4u.ctr").joinpath(WEIGHTS)))
    assert path.stat().st_size < 2_000_000
    with safe_open(path, framework="numpy") as file:
        report = json.loads(file.metadata()["report"])
    assert report["test"]["gauc"] > report["mean_predictor"]["gauc"]
    assert report["test"]["log_loss"] < report["mean_predictor"]["log_loss"]
    assert 1 < load_scorer().calibrator.strength < 1000
