"""One pass over a JSON document of any size, item by item, with the place of each item in the file.

A data set of a million masks is a file of gigabytes; ``json.load`` would need several times its
size in memory. Here only one item of the document's long lists is in memory at a time, and the
caller learns where in the file it lies, so that it can come back to a few of them later.

The items are decoded by the standard library. (``ijson`` was the alternative; it refuses a whole
file for one NaN, which Python's own ``json.dump`` writes and which belongs to one annotation.)
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import UserError

_SPACE = re.compile(r"[ \t\n\r]*")
_BOM = codecs.BOM_UTF8
# The longest token that a decoder reports at its start when the text ends inside it, generously.
_TOKEN = 32


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
    """

    def __init__(self, path: Path, lists: tuple[str, ...], chunk_size: int = 1 << 20) -> None:
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
        self._chunk_size = max(chunk_size, len(_BOM))
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
                    raise self._error("text after the end of the document", self._pos)
                self.sha256, self.size = self._hash.hexdigest(), self._read_bytes
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
            raise UserError(f"{self.path}: not JSON: the file is empty")
        else:
            self._value()  # its own message when it is no JSON at all
            raise UserError(f"{self.path}: not a data set: neither an object nor a list")

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
                raise self._error(f"the key {key!r} stands twice", self._pos)
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
        return character == ","

    # ---------------------------------------------------------------- sliding text

    def _open(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._pos = 0
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
        if self._read_bytes == 0 and chunk.startswith(_BOM):
            self._hash.update(_BOM)
            self._read_bytes = self._mark_byte = len(_BOM)
            chunk = chunk[len(_BOM) :]
        self._hash.update(chunk)
        try:
            self._text = rest + self._utf8.decode(chunk, final=self._end_of_file)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path}: not JSON: not UTF-8 text near byte {self._read_bytes + error.start}"
            ) from error
        self._read_bytes += len(chunk)

    def _byte(self, position: int) -> int:
        """Byte of the file at which a character of the text begins."""
        if position >= self._mark:
            piece = self._text[self._mark : position]
            self._mark_byte += _byte_length(piece)
        else:
            self._mark_byte -= _byte_length(self._text[position : self._mark])
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
            except (ValueError, RecursionError) as error:  # a number of 5,000 digits, deep nesting
                raise self._error(str(error), self._pos) from error
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
        byte = self._byte(position)
        line, column = _line_and_column(self.path, byte)
        message = message[:1].lower() + message[1:]
        return UserError(f"{self.path}: not JSON: {message} (line {line}, column {column})")


def read_item(file: BinaryIO, offset: int, length: int) -> Any:
    """Decode the item at a place that ``JsonStream`` has given."""
    file.seek(offset)
    return json.loads(file.read(length).decode("utf-8"))


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))


def _line_and_column(path: Path, byte: int) -> tuple[int, int]:
    """Line and column, both from 1, of a byte; the column counts bytes."""
    line, column = 1, byte + 1
    with path.open("rb") as file:
        done = 0
        while done < byte and (chunk := file.read(min(1 << 20, byte - done))):
            if (count := chunk.count(b"\n")) > 0:
                line += count
                column = byte - (done + chunk.rindex(b"\n"))
            done += len(chunk)
    return line, column
