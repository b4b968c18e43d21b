"""The two ways in which Jupyter puts a kernel message into a websocket frame, and back.

`V1` (`v1.kernel.websocket.jupyter.org`): binary, the parts of the message one after the other.
Legacy: JSON text, or binary with buffers. Where both ends speak the same, frames pass untouched.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)

V1 = "v1.kernel.websocket.jupyter.org"
_PARTS = ("header", "parent_header", "metadata", "content")
Frame = str | bytes


def translate(frame: Frame, source: str | None, target: str | None) -> Frame:
    """`frame`, as spoken by `source`, as `target` expects it (None: legacy)."""
    if source == target:
        return frame
    return _to_v1(frame) if target == V1 else _to_legacy(frame)


def _to_v1(frame: Frame) -> bytes:
    message: dict[str, Any] = json.loads(frame) if isinstance(frame, str) else deserialize_binary_message(frame)
    parts = [json.dumps(message.get(part, {}), default=str).encode() for part in _PARTS]
    buffers = [bytes(buffer) for buffer in message.get("buffers", [])]
    found: bytes = serialize_msg_to_ws_v1([*parts, *buffers], message["channel"])
    return found


def _to_legacy(frame: Frame) -> Frame:
    channel, parts = deserialize_msg_from_ws_v1(frame)
    message: dict[str, Any] = {name: json.loads(part) for name, part in zip(_PARTS, parts, strict=False)}
    message["channel"] = channel
    buffers = parts[len(_PARTS) :]
    if not buffers:
        return json.dumps(message)
    found: bytes = serialize_binary_message(message | {"buffers": buffers})
    return found
