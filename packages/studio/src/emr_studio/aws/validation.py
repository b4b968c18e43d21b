"""Input against the model's constraints, in the words of AWS's own validator.

botocore's client checks neither patterns nor enums, so a server gets anything. Message form and tails:
aws-wire.md section 2.
"""

from __future__ import annotations

import re
import sys
import threading
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from emr_studio.aws.errors import ValidationError
from emr_studio.aws.models import Shape

Check = Callable[[Any, str, list[str]], None]
_MAX_SHOWN = 1024
_MAX_PATTERN_INPUT = 150_000
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_CATEGORY = re.compile(r"\\p\{(\w+)\}")


class Validator:
    """Checks of shapes, made once each."""

    def __init__(self) -> None:
        self._checks: dict[Any, Check | None] = {}
        self._making: set[Any] = set()
        self._lock = threading.RLock()
        """Held while checks are made: `_making` means recursion, not another thread's work."""

    def check(self, shape: Shape, value: Any) -> None:
        """Return if `value` keeps all constraints of `shape`.

        Raises:
            ValidationError: naming every constraint that failed.
        """
        check = self._check_of(shape)
        if check is None:
            return
        failures: list[str] = []
        check(value, "", failures)
        if failures:
            count = len(failures)
            noun = "error" if count == 1 else "errors"
            raise ValidationError(f"{count} validation {noun} detected: " + "; ".join(failures))

    def _check_of(self, shape: Shape) -> Check | None:
        key = (shape.name, shape.type_name)
        if key in self._checks:
            return self._checks[key]
        with self._lock:
            return self._checks[key] if key in self._checks else self._made(key, shape)

    def _made(self, key: Any, shape: Shape) -> Check | None:
        if key in self._making:  # a recursive shape

            def later(value: Any, path: str, failures: list[str]) -> None:
                check = self._checks[key]
                if check is not None:
                    check(value, path, failures)

            return later
        self._making.add(key)
        try:
            made = self._make(shape)
        finally:
            self._making.discard(key)
        self._checks[key] = made
        return made

    def _make(self, shape: Shape) -> Check | None:
        own = _own_constraints(shape)
        inner: Check | None = None
        if shape.type_name == "structure":
            inner = self._structure(shape)
        elif shape.type_name == "list":
            inner = self._list(shape)
        elif shape.type_name == "map":
            inner = self._map(shape)
        if own is None or inner is None:
            return own or inner
        first, second = own, inner

        def both(value: Any, path: str, failures: list[str]) -> None:
            first(value, path, failures)
            second(value, path, failures)

        return both

    def _structure(self, shape: Shape) -> Check | None:
        required = [(name, _lower_first(name)) for name in shape.required_members]
        members = [
            (name, _lower_first(name), check)
            for name, member in shape.members.items()
            if (check := self._check_of(member)) is not None
        ]
        if not required and not members:
            return None

        def check_structure(value: Any, path: str, failures: list[str]) -> None:
            prefix = f"{path}." if path else ""
            for name, shown in required:
                if name not in value:
                    failures.append(
                        f"Value null at '{prefix}{shown}' failed to satisfy constraint: Member must not be null"
                    )
            for name, shown, check in members:
                if name in value:
                    check(value[name], prefix + shown, failures)

        return check_structure

    def _list(self, shape: Shape) -> Check | None:
        check = self._check_of(shape.member)
        if check is None:
            return None

        def check_list(value: Any, path: str, failures: list[str]) -> None:
            for position, item in enumerate(value, 1):
                check(item, f"{path}.{position}.member", failures)

        return check_list

    def _map(self, shape: Shape) -> Check | None:
        key_check, value_check = self._check_of(shape.key), self._check_of(shape.value)
        if key_check is None and value_check is None:
            return None

        def check_map(value: Any, path: str, failures: list[str]) -> None:
            for key, item in value.items():
                if key_check is not None:
                    key_check(key, f"{path}.key", failures)
                if value_check is not None:
                    value_check(item, f"{path}.{key}.member", failures)

        return check_map


def _own_constraints(shape: Shape) -> Check | None:
    traits = shape.metadata
    tests: list[tuple[Callable[[Any], bool], str]] = []
    kind = shape.type_name
    if traits.get("enum") and kind == "string":
        allowed = frozenset(traits["enum"])
        tests.append(
            (lambda value: value in allowed, f"Member must satisfy enum value set: [{', '.join(traits['enum'])}]")
        )
    measure = "value" if kind in ("integer", "long", "float", "double") else "length"
    size: Callable[[Any], Any] = (lambda value: value) if measure == "value" else len
    if kind in ("integer", "long", "float", "double", "string", "blob", "list", "map"):
        if (low := traits.get("min")) is not None:
            tests.append(
                (lambda value: size(value) >= low, f"Member must have {measure} greater than or equal to {low}")
            )
        if (high := traits.get("max")) is not None:
            tests.append(
                (lambda value: size(value) <= high, f"Member must have {measure} less than or equal to {high}")
            )
    if kind == "string" and (pattern := traits.get("pattern")):
        matches = _matcher(pattern)
        if matches is not None:
            tests.append((matches, f"Member must satisfy regular expression pattern: {pattern}"))
    if not tests:
        return None
    hidden = bool(traits.get("sensitive"))

    def check(value: Any, path: str, failures: list[str]) -> None:
        for passes, tail in tests:
            if not passes(value):
                shown = "Value" if hidden else f"Value '{_show(value)}'"
                failures.append(f"{shown} at '{path}' failed to satisfy constraint: {tail}")

    return check


def _show(value: Any) -> str:
    if isinstance(value, list):
        text = f"[{', '.join(str(item) for item in value)}]"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}"
    else:
        text = str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _matcher(pattern: str) -> Callable[[Any], bool] | None:
    compiled = java_pattern(pattern)
    if compiled is None:
        return None
    full = compiled.fullmatch

    def matches(value: Any) -> bool:
        # Longer texts break the length constraint anyway; patterns over them would only cost time.
        return len(value) > _MAX_PATTERN_INPUT or full(value) is not None

    return matches


@lru_cache(maxsize=4096)
def java_pattern(pattern: str) -> re.Pattern[str] | None:
    """Return a model's pattern, written for Java, as Python's; None if it cannot be said in Python.

    Java joins two `\\u` escapes of a surrogate pair into one character and knows `\\p{L}`; its `\\w` and `\\d`
    are ASCII's.
    """
    text = _SURROGATES.sub(lambda m: _join_surrogates(m.group(1), m.group(2)), pattern)
    try:
        text = _CATEGORY.sub(lambda m: _ranges_of(m.group(1), bracketed=not _inside_class(text, m.start())), text)
        return re.compile(text, re.ASCII)
    except (re.error, KeyError):
        return None


def _join_surrogates(high: str, low: str) -> str:
    point = 0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00)
    return f"\\U{point:08X}"


def _inside_class(pattern: str, position: int) -> bool:
    depth = 0
    escaped = False
    for character in pattern[:position]:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "[":
            depth = 1
        elif character == "]":
            depth = 0
    return depth > 0


@lru_cache(maxsize=64)
def _ranges_of(category: str, *, bracketed: bool) -> str:
    names = {"Alpha": "L", "Digit": "Nd", "IsAlphabetic": "L", "IsDigit": "Nd", "ASCII": "ASCII"}
    if category == "ASCII":
        body = r"\x00-\x7f"
    else:
        wanted = names.get(category, category)
        if wanted[0] not in "LMNPSZC" or len(wanted) > 2:
            raise KeyError(category)
        body = "".join(_escape_range(first, last) for first, last in _runs(wanted))
    return f"[{body}]" if bracketed else body


def _runs(category: str) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)).startswith(category):
            if runs and runs[-1][1] == point - 1:
                runs[-1] = (runs[-1][0], point)
            else:
                runs.append((point, point))
    return runs


def _escape_range(first: int, last: int) -> str:
    return f"\\U{first:08X}-\\U{last:08X}" if first != last else f"\\U{first:08X}"
