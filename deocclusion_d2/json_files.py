"""JSON files, read by one reader wherever the package reads one.

UTF-8, with or without a byte order mark, and UTF-16 and UTF-32 are read. NaN and Infinity, which
Python's own ``json.dump`` writes and JSON does not know, are read too, and reported with the item
that they stand in; ``dump_json`` never writes them. A key that stands twice in the document is an
error; deeper down the last one counts, as for every JSON reader. Whatever cannot be read is one
line with the place in the file and what to do.

A data set of a million masks is a file of gigabytes; ``json.load`` would need several times its
size in memory. ``JsonStream`` makes one pass, in which only one item of the document's long lists
is in memory at a time, and the caller learns where in the file it lies, so that it can come back
to a few of them later. ``read_json_file`` is the same reader for a document that is wanted whole.

The items are decoded by the standard library. (``ijson`` was the alternative; it refuses a whole
file for one NaN, which belongs to one annotation.)
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO

from .errors import UserError

_SPACE = re.compile(r"[ \t\n\r]*")
# The longest token that a decoder reports at its start when the text ends inside it, generously.
_TOKEN = 32
# Bytes that tell an encoding.
_TELLING = 4
_BYTE_ORDER_MARKS = {
    "utf-8-sig": ("utf-8", codecs.BOM_UTF8),
    "utf-16": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-32": ("utf-32-le", codecs.BOM_UTF32_LE),
}
# What other files begin with, and what to do about them.
_OTHER_FILES = (
    (b"\x1f\x8b", "a gzip file: unpack it first (gunzip)"),
    (b"PK\x03\x04", "a zip file: unpack it first (unzip)"),
    (b"BZh", "a bzip2 file: unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "an xz file: unpack it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file: unpack it first (unzstd)"),
    (b"\x89PNG", "a picture: name the JSON"),
    (b"\xff\xd8\xff", "a picture: name the JSON"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself (git lfs pull)"),
    (b"<", "a page of HTML or XML: download or export the JSON itself"),
)
_OF_PYTHON = ("'", "True", "False", "None", "nan", "inf", "array(", "(")


@dataclass
class JsonItem:
    """One item of a long list.

    Attributes:
        key: name of the list in the document; "" when the document itself is a list.
        offset, length: its place in the file in bytes.
        value: the decoded item.
        not_finite: NaN or Infinity stands somewhere in it, which JSON does not know.
    """

    key: str
    offset: int
    length: int
    value: Any
    not_finite: bool = False


class JsonStream:
    """Reads a document once, from front to back.

    Attributes (complete when ``items`` is exhausted):
        top: the document's values other than the long lists, by key.
        extent: (offset, length) of the whole document in bytes.
        is_list: whether the document is a list.
        found_lists: those of ``lists`` that the document has.
        sha256, size: of the file.
        encoding: of the file, for ``read_item``.
    """

    def __init__(
        self, path: Path | NamedDocument, lists: tuple[str, ...], chunk_size: int = 1 << 20
    ) -> None:
        """
        Args:
            path: the file.
            lists: keys of the document whose lists are given item by item.
            chunk_size: bytes read at a time; an item longer than this is read in larger ones.
        """
        self.path = path
        self.lists = lists
        self.top: dict[str, Any] = {}
        self.extent = (0, 0)
        self.is_list = False
        self.found_lists: set[str] = set()
        self.sha256 = ""
        self.size = 0
        self.encoding = "utf-8"
        self._is_utf8 = True
        self._chunk_size = max(chunk_size, _TELLING)
        self._not_finite = False
        self._decoder = json.JSONDecoder(parse_constant=self._note_constant)

    def items(self) -> Iterator[JsonItem]:
        """Items of the lists in the file's order.

        Raises:
            UserError: the file cannot be read, or is not JSON.
        """
        try:
            with self.path.open("rb") as file:
                self._open(file)
                start = self._byte(self._skip_space())
                yield from self._document()
                self.extent = (start, self._byte(self._pos) - start)
                if self._peek():
                    raise self._error("Text after the end of the document", self._pos)
                self.sha256, self.size = self._hash.hexdigest(), self._read_bytes
        except FileNotFoundError as error:
            raise UserError(f"{self.path}: there is no such file") from error
        except IsADirectoryError as error:
            raise UserError(f"{self.path}: a folder: name the JSON file in it") from error
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}") from error

    # ---------------------------------------------------------------- grammar

    def _document(self) -> Iterator[JsonItem]:
        first = self._peek()
        if first == "[":
            self.is_list = True
            yield from self._list("")
        elif first == "{":
            yield from self._object()
        elif not first:
            raise UserError(f"{self.path}: not a JSON file: the file is empty")
        else:
            self._value()  # its own message when it is no JSON at all
            raise UserError(f"{self.path}: not an object or a list")

    def _object(self) -> Iterator[JsonItem]:
        self._pos += 1
        seen = set()
        if self._peek() == "}":
            self._pos += 1
            return
        while True:
            if self._peek() != '"':
                raise self._error("Expecting a key in double quotes", self._pos)
            key = self._value()
            if key in seen:
                raise self._error(f"The key {key!r} stands twice", self._pos)
            seen.add(key)
            if self._peek() != ":":
                raise self._error("Expecting ':'", self._pos)
            self._pos += 1
            if key in self.lists and self._peek() == "[":
                self.found_lists.add(key)
                yield from self._list(key)
            else:
                self._skip_space()
                self.top[key] = self._value()
            if not self._comma("}"):
                return

    def _list(self, key: str) -> Iterator[JsonItem]:
        self._pos += 1
        self._after_comma = False
        if self._peek() == "]":
            self._pos += 1
            return
        while True:
            self._skip_space()
            self._not_finite = False
            value = self._value()
            start = self._value_start
            offset = self._byte(start)
            length = self._byte(self._pos) - offset
            yield JsonItem(key, offset, length, value, self._not_finite)
            if not self._comma("]"):
                return

    def _comma(self, closing: str) -> bool:
        """True after a comma, False after the closing bracket."""
        character = self._peek()
        if character not in (",", closing) or not character:
            raise self._error(f"Expecting ',' or '{closing}'", self._pos)
        self._pos += 1
        self._after_comma = character == ","
        return self._after_comma

    # ---------------------------------------------------------------- sliding text

    def _open(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._text = ""
        self._pos = 0
        self._after_comma = False
        self._value_start = 0
        self._end_of_file = False
        self._read_bytes = 0
        # Character `_mark` of the text is byte `_mark_byte` of the file.
        self._mark, self._mark_byte = 0, 0
        self._fill()

    def _fill(self) -> None:
        """Drop the text before the position and read on."""
        self._mark_byte, self._mark = self._byte(self._pos), 0
        rest = self._text[self._pos :]
        self._pos = 0
        # Reading as much as is kept doubles the text, so a long item costs no quadratic time.
        chunk = self._file.read(max(self._chunk_size, len(rest)))
        self._end_of_file = not chunk
        self._hash.update(chunk)
        if self._read_bytes == 0:
            chunk = self._begin(chunk)
        try:
            self._text = rest + self._decode(chunk, final=self._end_of_file)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path}: not a JSON file: not {self.encoding.upper()} text near byte "
                f"{self._read_bytes + error.start}: save it as UTF-8"
            ) from error
        self._read_bytes += len(chunk)

    def _begin(self, chunk: bytes) -> bytes:
        """Tell the encoding by the first bytes; returns the chunk without byte order mark."""
        for magic, other in _OTHER_FILES:
            if chunk.startswith(magic):
                raise UserError(f"{self.path}: not a JSON file: {other}")
        encoding = json.detect_encoding(chunk[:_TELLING])
        mark = b""
        if encoding in _BYTE_ORDER_MARKS:
            encoding, mark = _BYTE_ORDER_MARKS[encoding]
            if not chunk.startswith(mark):
                encoding = encoding.replace("-le", "-be")
        self.encoding = encoding
        self._is_utf8 = encoding == "utf-8"
        self._decode = codecs.getincrementaldecoder(encoding)().decode
        self._read_bytes = self._mark_byte = len(mark)
        return chunk[len(mark) :]

    def _byte(self, position: int) -> int:
        """Byte of the file at which a character of the text begins."""
        forward = position >= self._mark
        piece = self._text[self._mark : position] if forward else self._text[position : self._mark]
        length = len(piece)
        if not (self._is_utf8 and piece.isascii()):
            length = len(piece.encode(self.encoding))
        self._mark_byte += length if forward else -length
        self._mark = position
        return self._mark_byte

    def _skip_space(self) -> int:
        while True:
            self._pos = _SPACE.match(self._text, self._pos).end()
            if self._pos < len(self._text) or self._end_of_file:
                return self._pos
            self._fill()

    def _peek(self) -> str:
        """Next character that is no white space; "" at the end of the file."""
        self._skip_space()
        return self._text[self._pos : self._pos + 1]

    def _value(self) -> Any:
        """Decode the value at the position and step over it."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._pos)
            except json.JSONDecodeError as error:
                if not self._end_of_file and self._may_be_cut(error):
                    self._fill()
                    continue
                raise self._error(error.msg, error.pos) from error
            except RecursionError as error:
                raise self._error("Nested too deeply", self._pos) from error
            except ValueError as error:
                # The one that is no JSONDecodeError: more digits than Python turns into an integer.
                raise self._error("A number has too many digits", self._pos) from error
            # A number may go on behind the end of the text.
            if (
                end == len(self._text)
                and not self._end_of_file
                and self._text[end - 1] not in '"]}'
            ):
                self._fill()
                continue
            self._value_start, self._pos = self._pos, end
            return value

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether more text could mend the error, so that a broken file is not read to its end."""
        return error.pos >= len(self._text) - _TOKEN or error.msg.startswith("Unterminated")

    def _note_constant(self, name: str) -> float:
        self._not_finite = True
        return float(name)

    def _error(self, message: str, position: int) -> UserError:
        line, column = self._line_and_column(self._byte(position))
        message = message[:1].lower() + message[1:]
        hint = self._hint(message, position)
        return UserError(
            f"{self.path}: not a JSON file: {message} (line {line}, column {column}){hint}"
        )

    def _hint(self, message: str, position: int) -> str:
        """What has probably happened, and what to do."""
        rest = self._text[position:]
        if self._end_of_file and (not rest.strip() or message.startswith("unterminated")):
            return ": the file is cut off: copy or download it again"
        if rest.startswith(_OF_PYTHON):
            return ": Python's way of writing: write the file by json.dump, not by str or print"
        before = self._text[:position].rstrip()  # the file before may be gone from memory
        after_comma = before.endswith(",") if before else self._after_comma
        if after_comma and rest.startswith(("]", "}")):
            return ": remove the comma before it"
        if rest.startswith(("//", "/*", "#")):
            return ": JSON has no comments: remove them"
        if message.startswith("text after") and rest.startswith(("{", "[")):
            return ": JSON Lines? Make one document of it, a list with commas"
        return ""

    def _line_and_column(self, byte: int) -> tuple[int, int]:
        """Line and column, both from 1, of a byte; the column counts bytes in UTF-8."""
        if self.encoding != "utf-8":
            with self.path.open("rb") as file:
                before = file.read(byte).decode(self.encoding, "replace").lstrip("\ufeff")
            return before.count("\n") + 1, len(before) - before.rfind("\n")
        line, column = 1, byte + 1
        with self.path.open("rb") as file:
            done = 0
            while done < byte and (chunk := file.read(min(1 << 20, byte - done))):
                if (count := chunk.count(b"\n")) > 0:
                    line += count
                    column = byte - (done + chunk.rindex(b"\n"))
                done += len(chunk)
        return line, column


def read_item(file: BinaryIO, offset: int, length: int, encoding: str = "utf-8") -> Any:
    """Decode the item at a place that ``JsonStream`` has given, in its encoding."""
    return json.loads(read_item_text(file, offset, length, encoding))


def read_item_text(file: BinaryIO, offset: int, length: int, encoding: str = "utf-8") -> str:
    """The JSON of such an item as it stands in the file."""
    file.seek(offset)
    return file.read(length).decode(encoding)


@dataclass(frozen=True)
class NamedDocument:
    """A document that is in memory, or that messages call by another name than its file's.

    It stands where the readers take the path of a file.

    Attributes:
        name: what ``str`` gives: a path, or an address.
        content: the bytes, or the file that they are in.
    """

    name: str
    content: bytes | Path

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open it for reading bytes."""
        if isinstance(self.content, bytes):
            return io.BytesIO(self.content)
        return self.content.open(mode)

    @property
    def stem(self) -> str:
        """The name's last part without its ending."""
        return Path(self.name).stem

    @property
    def parent(self) -> Path:
        """The folder of the name."""
        return Path(self.name).parent

    def __str__(self) -> str:
        return self.name


def read_json_file(path: str | Path) -> dict | list:
    """Read a whole document.

    Returns:
        The object or list that it is.

    Raises:
        UserError: one line naming the file: it cannot be read, or is no JSON object or list.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # the stream says what is wrong
    # In one piece: what is kept in the end is the whole document anyway.
    stream = JsonStream(path, (), chunk_size=size + 1)
    items = [item.value for item in stream.items()]
    return items if stream.is_list else stream.top


# -------------------------------------------------------------------- numbers that JSON lacks


def dump_json(value: Any, note: Callable[[], object] = lambda: None) -> str:
    """A value as JSON of ASCII characters, on one line; NaN and Infinity become null.

    Args:
        value: what ``json`` can write.
        note: called when there are such numbers.

    Raises:
        UserError: it is nested too deeply.
    """
    try:
        try:
            return json.dumps(value, allow_nan=False)
        except ValueError:
            note()
            return json.dumps(_finite(value), allow_nan=False)
    except RecursionError:
        raise UserError("a value is nested too deeply to be written as JSON") from None


@contextlib.contextmanager
def json_on_stdout(wanted: bool = True) -> Iterator[Callable[[Any], None]]:
    """Keep stdout for one JSON value: all else that is printed in the block goes to stderr.

    Args:
        wanted: without, nothing is changed, and the value is not printed.

    Yields:
        A function that prints the value.
    """
    if not wanted:
        yield lambda value: None
        return
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield lambda value: print(dump_json(value), file=stdout, flush=True)


def is_finite(value: Any) -> bool:
    """Whether no NaN or Infinity stands anywhere in a decoded value."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list):
        return all(map(is_finite, value))
    return True


def is_number(value: object) -> bool:
    """Whether a value is a number that a float can hold: neither truth value, NaN nor Infinity."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value
