import hashlib
import json

import pytest

from deocclusion_d2.errors import UserError
from deocclusion_d2.json_files import JsonStream, read_item

DOCUMENT = {
    "info": {"year": 2020, "who": "Jürgen 日本 😀"},
    "images": [{"id": 1, "file_name": "straße.png"}, {"id": 2}],
    "empty": [],
    "annotations": [{"id": i, "name": "é" * i, "list": [1.5, -2e3, None, True]} for i in range(9)],
    "number": 12345,
}


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
        ("12", "neither an object nor a list"),
        ("hello", "not a JSON file: expecting value (line 1, column 1)"),
        ('{"images": [}', "not a JSON file: expecting value (line 1, column 13)"),
        ('{"images":\n [1 2]}', "not a JSON file: expecting ',' or ']' (line 2, column 5)"),
        ('{"images": [1,]}', "not a JSON file: expecting value (line 1, column 15)"),
        ('{"a": 1,}', "not a JSON file: expecting a key in double quotes (line 1, column 9)"),
        ("{'a': 1}", "not a JSON file: expecting a key in double quotes (line 1, column 2)"),
        ('{"a" 1}', "not a JSON file: expecting ':' (line 1, column 6)"),
        ('{"a": 1', "not a JSON file: expecting ',' or '}' (line 1, column 8)"),
        ('{"a": 1} x', "not a JSON file: text after the end of the document (line 1, column 10)"),
        ('{"a": 1, "a": 2}', "not a JSON file: the key 'a' stands twice (line 1, column 13)"),
        (
            '{"annotations": [{"id": "a\n"}]}',
            "not a JSON file: invalid control character at (line 1, column 27)",
        ),
        (
            '{"annotations": [{"id": 1}, {"id": 2',
            "not a JSON file: expecting ',' delimiter (line 1, column 37)",
        ),
        (
            '{"annotations": [{"id": "ab',
            "not a JSON file: unterminated string starting at (line 1, column 25)",
        ),
    ],
)
def test_broken_documents(tmp_path, text, message, chunk_size):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read(path, chunk_size=chunk_size)
    assert str(error.value) == f"{path}: {message}"


def test_not_utf8(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes('{"a": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.json: not a JSON file: not UTF-8 text near byte 7$"):
        read(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: No such file or directory$"):
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
