"""The front door: one Typer verb a job."""

from creative4u.cli.root import app, main

__all__ = ["app", "main"]
