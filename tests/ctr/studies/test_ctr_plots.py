"""Plots are drawn of what study and simulation give, a missing figure included."""

from pathlib import Path

from PIL import Image

from creative4u.ctr.studies.plots import plot_ladder, plot_regret


def test_pictures_are_written(tmp_path: Path) -> None:
    rung = {
        "rung": "ID only",
        "unbiased": {
            "all": {"auc": 0.6},
            "head": {"auc": 0.6},
            "tail": {"auc": 0.5},
            "new": {"auc": None},
        },
        "log": {"all": {"gauc": 0.6}, "new": {"gauc": None}},
    }
    found = plot_ladder([rung, {**rung, "rung": "S1"}], tmp_path / "plots" / "ladder.png")
    assert Image.open(found).width > 600
    table = {"policies": {"random": {"regret": [0.01, 0.01]}, "oracle": {"regret": [0.0, 0.0]}}}
    assert Image.open(plot_regret(table, 1000, tmp_path / "regret.png")).height > 300
