"""`key=value` words in, a stage's frozen config out; raises InputError."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from creative4u.errors import InputError

Config = TypeVar("Config")


def with_overrides(config: Config, words: Sequence[str]) -> Config:
    """`steps=100`, `encoder.experts=0`: dots descend, values are read as the field's own type."""
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"got {word!r}; a setting is key=value")
        config = _set(config, key.split("."), value, key)
    return config


def _set(config: Config, path: list[str], value: str, key: str) -> Config:
    known = {field.name for field in fields(cast(Any, config))}
    if path[0] not in known:
        raise InputError(f"no setting {key!r}; known are {', '.join(sorted(known))}")
    old = getattr(config, path[0])
    if is_dataclass(old):
        if len(path) < 2:
            raise InputError(f"{key!r} is a group; give one of its settings as {key}.name=value")
        new: Any = _set(old, path[1:], value, key)
    elif len(path) > 1:
        raise InputError(f"no setting {key!r}: {path[0]} has no parts")
    else:
        new = _read(old, value, key)
    return cast(Config, replace(cast(Any, config), **{path[0]: new}))


def _read(old: Any, value: str, key: str) -> Any:
    if isinstance(old, str):
        return value
    try:
        found = json.loads(value)
    except ValueError as error:
        raise InputError(f"{key}={value}: not a value like {old!r}") from error
    if isinstance(old, tuple) and isinstance(found, list):
        return tuple(found)
    if isinstance(old, float) and type(found) is int:
        return float(found)
    if type(found) is not type(old):
        raise InputError(f"{key}={value}: a {type(old).__name__} is needed, as {old!r}")
    return found
