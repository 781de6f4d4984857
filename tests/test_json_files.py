import gzip
import hashlib
import json

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.json_files import (
    JsonStream,
    dump_json,
    is_finite,
    is_number,
    read_item,
    read_json_file,
)

DOCUMENT = {
    "info": {"year": 2020, "who": "Jürgen 日本 😀"},
    "images": [{"id": 1, "file_name": "straße.png"}, {"id": 2}],
    "empty": [],
    "annotations": [{"id": i, "name": "é" * i, "list": [1.5, -2e3, None, True]} for i in range(9)],
    "number": 12345,
}

CUT = ": the file is cut off: copy or download it again"
OF_PYTHON = ": Python's way of writing: write the file by json.dump, not by str or print"


def read(path, **settings):
    stream = JsonStream(path, ("images", "annotations"), **settings)
    return stream, list(stream.items())


@pytest.mark.parametrize("chunk_size", [1, 2, 7, 64, 1 << 20])
@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_items_and_their_places(tmp_path, chunk_size, ascii, indent, bom):
    path = tmp_path / "a.json"
    text = json.dumps(DOCUMENT, ensure_ascii=ascii, indent=indent)
    path.write_bytes(bom + f" \r\n{text}\n".encode())
    stream, items = read(path, chunk_size=chunk_size)
    for key in ("images", "annotations"):
        assert [i.value for i in items if i.key == key] == DOCUMENT[key]
    with path.open("rb") as file:
        for item in items:
            assert read_item(file, item.offset, item.length) == item.value
        assert read_item(file, *stream.extent) == DOCUMENT
    assert stream.top == {k: DOCUMENT[k] for k in ("info", "empty", "number")}
    assert stream.found_lists == {"images", "annotations"}
    assert stream.size == path.stat().st_size
    assert stream.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("chunk_size", [1, 1 << 20])
def test_document_that_is_a_list(tmp_path, chunk_size):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}, 22, "x"]')
    stream, items = read(path, chunk_size=chunk_size)
    assert stream.is_list
    assert [(i.key, i.offset, i.length, i.value) for i in items] == [
        ("", 1, 8, {"a": 1}),
        ("", 11, 2, 22),
        ("", 15, 3, "x"),
    ]


def test_not_finite_numbers_belong_to_their_item(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"annotations": [{"a": 1}, {"a": [NaN]}, {"a": -Infinity}, {"a": 2}]}')
    assert [i.not_finite for i in read(path)[1]] == [False, True, True, False]


@pytest.mark.parametrize("chunk_size", [1, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON file: the file is empty"),
        (" \n", "not a JSON file: the file is empty"),
        ("12", "not an object or a list"),
        ("hello", "not a JSON file: expecting value (line 1, column 1)"),
        ('{"images": [}', "not a JSON file: expecting value (line 1, column 13)"),
        ('{"images":\n [1 2]}', "not a JSON file: expecting ',' or ']' (line 2, column 5)"),
        ('{"images": [1,]}',
         "not a JSON file: expecting value (line 1, column 15): remove the comma before it"),
        ('{"a": 1,}',
         "not a JSON file: expecting a key in double quotes (line 1, column 9): remove the comma "
         "before it"),
        ("{'a': 1}",
         f"not a JSON file: expecting a key in double quotes (line 1, column 2){OF_PYTHON}"),
        ('{"a": None}', f"not a JSON file: expecting value (line 1, column 7){OF_PYTHON}"),
        ('{"a": 1} // one', "not a JSON file: text after the end of the document "
         "(line 1, column 10): JSON has no comments: remove them"),
        ('{"a": 1}\n{"a": 2}\n', "not a JSON file: text after the end of the document "
         "(line 2, column 1): JSON Lines? Make one document of it, a list with commas"),
        ("[" * 100_000, "not a JSON file: nested too deeply (line 1, column 2)"),
        ('{"a": ' + "1" * 5000 + "}",
         "not a JSON file: a number has too many digits (line 1, column 7)"),
        ('{"a" 1}', "not a JSON file: expecting ':' (line 1, column 6)"),
        ('{"a": 1', f"not a JSON file: expecting ',' or '}}' (line 1, column 8){CUT}"),
        ('{"a": 1} x', "not a JSON file: text after the end of the document (line 1, column 10)"),
        ('{"a": 1, "a": 2}', "not a JSON file: the key 'a' stands twice (line 1, column 13)"),
        (
            '{"annotations": [{"id": "a\n"}]}',
            "not a JSON file: invalid control character at (line 1, column 27)",
        ),
        (
            '{"annotations": [{"id": 1}, {"id": 2',
            f"not a JSON file: expecting ',' delimiter (line 1, column 37){CUT}",
        ),
        (
            '{"annotations": [{"id": "ab',
            f"not a JSON file: unterminated string starting at (line 1, column 25){CUT}",
        ),
    ],
)  # fmt: skip
def test_broken_documents(tmp_path, text, message, chunk_size):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read(path, chunk_size=chunk_size)
    assert str(error.value) == f"{path}: {message}"


def test_not_utf8(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes('{"a": "é"}'.encode("latin-1"))
    with pytest.raises(
        UserError, match=r"a\.json: not a JSON file: not UTF-8 text near byte 7: save it as UTF-8$"
    ):
        read(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: there is no such file$"):
        read(tmp_path / "a.json")


def test_a_broken_file_is_not_read_to_its_end(tmp_path):
    """Nor is the text that is held at a time more than a few items."""
    path = tmp_path / "a.json"
    path.write_text('{"annotations": [{"id": x}, ' + '{"id": 1},' * 10_000)
    stream = JsonStream(path, ("annotations",), chunk_size=64)
    with pytest.raises(UserError, match="expecting value"):
        list(stream.items())
    assert stream._read_bytes < 300

    path.write_text('{"annotations": [' + ",".join(['{"id": 1}'] * 10_000) + "]}")
    stream = JsonStream(path, ("annotations",), chunk_size=64)
    assert max(len(stream._text) for _ in stream.items()) < 300


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("chunk_size", [1, 7, 1 << 20])
def test_encodings(tmp_path, encoding, chunk_size):
    """With and without byte order mark; items are found again at their places."""
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(DOCUMENT, ensure_ascii=False).encode(encoding))
    stream, items = read(path, chunk_size=chunk_size)
    assert [i.value for i in items if i.key == "annotations"] == DOCUMENT["annotations"]
    with path.open("rb") as file:
        for item in items:
            assert read_item(file, item.offset, item.length, stream.encoding) == item.value
    assert read_json_file(path) == DOCUMENT


def test_the_place_of_an_error_in_utf_16(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes('{"Ċé": 1,\n "b": x}'.encode("utf-16"))
    with pytest.raises(UserError, match=r"expecting value \(line 2, column 7\)$"):
        read_json_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"{}"), "not a JSON file: a gzip file: unpack it first (gunzip)"),
        (b"PK\x03\x04rest", "not a JSON file: a zip file: unpack it first (unzip)"),
        (b"\x89PNG\r\n", "not a JSON file: a picture: name the JSON"),
        (
            b"<!DOCTYPE html>",
            "not a JSON file: a page of HTML or XML: download or export the JSON itself",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "not a JSON file: a pointer of Git LFS: fetch the file itself (git lfs pull)",
        ),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_json_file(path)
    assert str(error.value) == f"{path}: {message}"


def test_a_folder(tmp_path):
    with pytest.raises(UserError, match="a folder: name the JSON file in it$"):
        read_json_file(tmp_path)


def test_a_whole_document_is_what_the_standard_library_reads(tmp_path):
    path = tmp_path / "a.json"
    for document in (DOCUMENT, DOCUMENT["annotations"], {}, []):
        path.write_text(json.dumps(document))
        assert read_json_file(path) == document
        assert json.dumps(read_json_file(path)) == json.dumps(document)


def test_numbers_that_json_lacks_are_written_as_null():
    noted = []
    value = {"a": [float("nan"), 1.5, {"b": float("-inf")}], "c": (2, 1e999)}
    assert (
        dump_json(value, lambda: noted.append(1))
        == '{"a": [null, 1.5, {"b": null}], "c": [2, null]}'
    )
    assert noted == [1]
    assert dump_json([1, "é"], noted.clear) == '[1, "\\u00e9"]' and noted == [1]
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UserError, match="nested too deeply"):
        dump_json(deep)
    assert is_finite([1, "NaN", {"a": None}]) and not is_finite({"a": [[float("inf")]]})
    assert [is_number(v) for v in (1, 2.5, True, "1", 10**400, float("nan"), None)] == [
        *(True, True),
        *(False,) * 5,
    ]
