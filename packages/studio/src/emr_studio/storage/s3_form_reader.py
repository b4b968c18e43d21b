"""A form that uploads a file, read while it arrives: the fields before the file, then the file's bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from emr_studio.aws.errors import ClientError

_MOST_FIELD_BYTES = 20 * 1024
"""S3's own limit of all that precedes the file."""


class FormReader:
    """Reads `multipart/form-data` from a stream of chunks.

    `await fields()` first, then iterate over `file()` to its end.
    """

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(content_type.encode("latin-1"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise _malformed()
        self._chunks = chunks
        self._header: list[bytes] = [b"", b""]
        self._name: str | None = None
        self._value = b""
        self._kept = 0
        self._values: dict[str, str] = {}
        self._in_file = False
        self._file: deque[bytes] = deque()
        self._complete = False
        self.file_name = ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    async def fields(self) -> dict[str, str]:
        """The fields before the file, by their names in lower case.

        Raises:
            ClientError: MalformedPOSTRequest, MaxPostPreDataLengthExceededError, InvalidArgument.
        """
        while not self._in_file:
            if not await self._more():
                raise ClientError("InvalidArgument", "POST requires exactly one file upload per request.", 400)
        return self._values

    async def file(self) -> AsyncIterator[bytes]:
        """The file's bytes; ends only if the form was whole.

        Raises:
            ClientError: MalformedPOSTRequest.
        """
        while True:
            while self._file:
                yield self._file.popleft()
            if not await self._more():
                break
        if not self._complete:
            raise _malformed()

    async def _more(self) -> bool:
        async for chunk in self._chunks:
            if not chunk:
                continue
            try:
                self._parser.write(chunk)
            except MultipartParseError:
                raise _malformed() from None
            return True
        return False

    # --- the parser's calls

    def _on_part_begin(self) -> None:
        self._name, self._value, self._header = None, b"", [b"", b""]

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]
        self._count(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]
        self._count(end - start)

    def _on_header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            _, options = parse_options_header(self._header[1])
            self._name = options.get(b"name", b"").decode("utf-8", "replace").lower()
            if self._name == "file":
                self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._header = [b"", b""]

    def _on_headers_finished(self) -> None:
        if self._in_file:
            self._name = None  # what follows the file is ignored, as S3 does
        elif self._name == "file":
            self._in_file = True

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            return
        if self._in_file:
            self._file.append(data[start:end])
            return
        self._count(end - start)
        self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._name and not self._in_file:
            self._values[self._name] = self._value.decode("utf-8", "replace")

    def _on_end(self) -> None:
        self._complete = True

    def _count(self, size: int) -> None:
        if self._in_file:
            return
        self._kept += size
        if self._kept > _MOST_FIELD_BYTES:
            message = "Your POST request fields preceding the upload file were too large."
            raise ClientError("MaxPostPreDataLengthExceeded", message, 400)


def _malformed() -> ClientError:
    message = "The body of your POST request is not well-formed multipart/form-data."
    return ClientError("MalformedPOSTRequest", message, 400)
