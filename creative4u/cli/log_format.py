"""The options of every verb that reads a foreign log, for what the log itself does not tell."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from creative4u.cli.console import UsageError

From = Annotated[
    str | None,
    typer.Option(
        "--from", help="An export of google-ads, meta-ads, tiktok-ads or amazon-ads, by its names."
    ),
]
Column = Annotated[
    list[str] | None, typer.Option(help="OURS=THEIRS, where a name is not guessed; repeatable.")
]
DateFormat = Annotated[
    str | None, typer.Option(help="Such as %d/%m/%Y, where dates have two readings.")
]
CtrUnit = Annotated[
    str | None, typer.Option(help="percent or fraction, where the CTR's unit cannot be told.")
]


def log_format(
    platform: str | None, columns: list[str] | None, date_format: str | None, ctr_unit: str | None
) -> Any:
    """What the user says of a log, as a LogFormat."""
    from creative4u.log_import.columns import LogFormat

    return LogFormat(platform, dict(_pair(one) for one in columns or ()), date_format, ctr_unit)


def _pair(said: str) -> tuple[str, str]:
    ours, sign, theirs = said.partition("=")
    if not sign or not theirs:
        raise UsageError(f"--column {said}: write OURS=THEIRS, such as click=is_clk")
    return ours, theirs
