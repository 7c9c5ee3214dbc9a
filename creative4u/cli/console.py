"""Turn errors into exit codes and one line; print results on stdout, everything else on stderr.

Exit codes: 0 done, 1 failed, 2 wrong use or bad input, 3 done but some rows failed, 130 stopped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from creative4u.errors import Creative4UError

SOME_ROWS_FAILED = 3
WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
STOPPED = 130  # what shells report for Ctrl-C
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(
        help="Of the model's products in this process; auto is the fastest in which no batch "
        "changes a verdict."
    ),
]
LOADING = "loading the judge ..."
UsageError: Any = typer.BadParameter.__mro__[1]  # typer does not export its name


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Change one field of the config; repeatable. Dots descend: encoder.layers=1.",
    ),
]
RENAMED = {"meaning_rate": "semantic_rate", "passed": "not_clicked"}  # shown by earlier docs


class FrontDoor(TyperGroup):
    """A group of verbs whose known errors become one line and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; what it raises decides the exit code."""
        try:
            return super().invoke(ctx)
        except Creative4UError as error:
            say(f"creative4u: {' '.join(str(error).split())}")
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            line, code = disk_trouble(error)
            say(f"creative4u: {line}")
            raise typer.Exit(code) from error
        except UsageError as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # the help itself, not one line
                raise
            path = (error.ctx or ctx).command_path
            say(f"creative4u: {error.format_message()} See: {path} --help")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            say("creative4u: stopped")
            raise typer.Exit(STOPPED) from None


def disk_trouble(error: OSError) -> tuple[str, int]:
    """One line for what the system refused, how to go on, and the exit code."""
    from creative4u.user_paths import short_name

    why = " ".join((error.strerror or str(error) or type(error).__name__).split())
    where = f"{short_name(str(error.filename))}: " if error.filename else ""
    line = f"{where}{why[:1].lower()}{why[1:]}"
    if error.errno in WRITING:
        return (
            f"{line}; files that were written whole are safe, and a part of one is never taken "
            "for it: make room, then give the same command again"
        ), 1
    return line, 2


class SettingsCommand(TyperCommand):
    """A verb that names the option for each `name=value` word, the spelling of earlier releases."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as usual. Raises a usage error for words that are settings."""
        _, words, _ = self.make_parser(ctx).parse_args(args=list(args))
        old = [word for word in words if "=" in word]
        if old:
            new = " ".join(self._option(word) for word in old)
            raise UsageError(f"got {' '.join(old)}; write {new} instead.", ctx)
        return super().parse_args(ctx, args)

    def _option(self, word: str) -> str:
        name, _, value = word.partition("=")
        for parameter in self.params:
            if f"--{name}" in parameter.opts:
                if getattr(parameter, "is_flag", False):
                    return f"--{name}" if value == "true" else f"--no-{name}"
                many = value.split(",") if getattr(parameter, "multiple", False) else [value]
                return " ".join(f"--{name} {one}" for one in many)
        return f"--set {RENAMED.get(name, name)}={value}"


def verbs(help_text: str) -> typer.Typer:
    """A Typer group: the front door itself, or one of its groups of verbs."""
    return typer.Typer(
        cls=FrontDoor,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def say(line: str) -> None:
    """One line for people, on standard error."""
    print(_printable(line), file=sys.stderr, flush=True)


def print_json(answer: Any) -> None:
    """One JSON object on standard output; figures that are nan become null."""
    print(_printable(json.dumps(_without_nan(answer), ensure_ascii=False)), flush=True)


def answer(found: Mapping[str, Any], json: bool) -> None:
    """What was made: one JSON object, or a line for each thing that is there."""
    if json:
        print_json({key: str(x) if isinstance(x, Path) else x for key, x in found.items()})
        return
    for key, value in found.items():
        if value or value == 0:
            print(_printable(f"{key.replace('_', ' ')}: {_told(value)}"), flush=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, libraries keep their chatter and warnings to themselves; our log goes to stderr."""
    for name, value in (
        ("TRANSFORMERS_VERBOSITY", "error"),
        ("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("GRADIO_ANALYTICS_ENABLED", "False"),
    ):
        os.environ.setdefault(name, value)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for room in ("creative4u", "data", "rft", "app"):
        logging.getLogger(room).setLevel(logging.INFO)
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Quiet, and what any library prints goes to standard error: the answer stands alone.

    The descriptor is turned too: DuckDB draws its progress bars from C, past Python's stdout.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with quiet(), contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _printable(text: str) -> str:
    """The text with what UTF-8 cannot write (a path that is none) as escapes, as in JSON."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def announced(line: str, after: float = 1.0) -> Iterator[None]:
    """Say `line` where the inside takes longer than `after` seconds."""
    timer = threading.Timer(after, say, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return value
