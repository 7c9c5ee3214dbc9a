"""Apply options and `--set NAME=VALUE` words to a config, alike for every verb.

Dots descend into groups (`encoder.layers=1`), a number into a list (`stages.0.singles=32`). Values
are YAML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from creative4u.errors import InputError

Config = TypeVar("Config")


def configured(config: Config, settings: Sequence[str] | None, **options: Any) -> Config:
    """Apply a verb's options (None: not given) and its `--set` words to a config.

    Raises InputError for a `--set` of a field that has its own option.
    """
    given = {name: _plain(value) for name, value in options.items() if value is not None}
    for word in settings or ():
        name = word.partition("=")[0]
        if name in options:
            raise InputError(f"got --set {word}; write --{name} {word.partition('=')[2]} instead")
    return with_settings(cast(Config, replace(cast(Any, config), **given)), settings or ())


def with_settings(config: Config, words: Sequence[str]) -> Config:
    """A copy of a dataclass with settings applied and checked against the fields' types.

    A text field takes its value as it stands. Raises InputError with the field's name, what was got
    and what is allowed.
    """
    content = asdict(cast(Any, config))
    for word in words:
        apply_setting(content, word)
    try:
        return TypeAdapter(type(config)).validate_python(content)
    except ValidationError as error:
        raise InputError(first_problem(error)) from None


def apply_setting(content: Any, word: str, new_keys: bool = False) -> None:
    """Set one value in nested dicts and lists, in place; `new_keys` may add to dicts.

    Raises InputError for a word without `=`, an unknown name, a group, or broken YAML.
    """
    name, equals, value = word.partition("=")
    if not equals:
        raise InputError(f"got --set {word!r}; needed is NAME=VALUE")
    *parents, last = [int(part) if part.isdigit() else part for part in name.split(".")]
    known: Any = ()
    try:
        for part in parents:
            known = content
            grows = new_keys and isinstance(content, dict)
            content = content.setdefault(part, {}) if grows else content[part]
        known = content
        old = content.get(last) if new_keys and isinstance(content, dict) else content[last]
    except (IndexError, KeyError, TypeError):
        names = f"; known are {', '.join(sorted(known))}" if isinstance(known, dict) else ""
        raise InputError(f"no setting {name!r}{names}") from None
    if isinstance(old, dict) and not new_keys:
        raise InputError(
            f"{name} is a group; set one of {', '.join(f'{name}.{key}' for key in old)}"
        )
    try:
        content[last] = value if isinstance(old, str) and not new_keys else yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"got --set {word!r}; the value is no YAML") from None


def first_problem(error: ValidationError) -> str:
    """The first problem of a validation in one line: where, what was got, what is allowed."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    got = "" if isinstance(first["input"], dict) else f"got {first['input']!r}; "
    message = f"{got}{first['msg'].removeprefix('Value error, ')}"
    return f"{where}: {message}" if where else message


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(str, value))
    return str(value) if isinstance(value, Path) else value
