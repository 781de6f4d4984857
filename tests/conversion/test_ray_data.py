"""Conversion over Ray Data on this machine: the same masks as without, whatever dies."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import socket

import pytest

from deocclusion_d2.cli.convert_modal_to_amodal import main
from deocclusion_d2.conversion import ConversionJob, convert
from deocclusion_d2.conversion.document_index import read_index
from deocclusion_d2.conversion.ray_data import actors, output, reading, tables
from deocclusion_d2.conversion.ray_data import cluster as ray_cluster
from deocclusion_d2.conversion.ray_data.convert import convert_with_ray
from deocclusion_d2.conversion.ray_data.files import InputFiles
from deocclusion_d2.conversion.ray_data.job import RayJob
from deocclusion_d2.conversion.rows import convert_rows, rows_of
from deocclusion_d2.deoccluder import Deoccluder
from deocclusion_d2.errors import UserError
from deocclusion_d2.files import whole_folder

from . import far_store
from .conftest import annotation, coco, touching_pair
from .test_rows import of_sam

ray = pytest.importorskip("ray")
pyarrow = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("ray.data")


@pytest.fixture(scope="module")
def cluster():
    """A Ray of two cores that reports to nobody, and ends with the tests of this file."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=100 << 20,
    )
    yield
    ray.shutdown()


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (ray_cluster, actors):
        monkeypatch.setattr(module, "LEAST_BLOCK", 1 << 10)
    for module in (tables, reading):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 2)


def pairs(first_image, images):
    numbers = range(first_image, first_image + images)
    document = coco([a for i in numbers for a in touching_pair(10 * i, i)], 0)
    record = coco([], 1)["images"][0]
    document["images"] = [{**record, "id": i, "file_name": f"{i}.png"} for i in numbers]
    return document


def killed_once(marker):
    """The actor, killed in the middle of its work the first time that it meets image 13."""

    class Killed(actors._Converter):
        def __call__(self, block):
            images = [json.loads(text)["id"] for text in block["record"].to_pylist()]
            for table in super().__call__(block):
                if 13 in images and not os.path.exists(marker):
                    open(marker, "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield table

    return Killed


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_killed_worker_costs_nothing_but_time(
    cluster, small_blocks, write, tmp_path, monkeypatch, kind
):
    document = pairs(1, 24)
    document["annotations"] = document["annotations"][::-1]
    path = write(document)
    marker = tmp_path / "killed"
    monkeypatch.setattr(actors, "_Converter", killed_once(str(marker)))
    whole = convert(ConversionJob(path, tmp_path / "whole.json", "convex_r", num_workers=0))
    output = tmp_path / f"out.{kind}"
    result = convert_with_ray(RayJob(str(path), str(output), "convex_r"))
    assert marker.exists()
    assert result.tally == whole.tally and result.info == whole.info
    if kind == "json":
        assert output.read_bytes() == whole.output.read_bytes()
        return
    rows = pq.read_table(output).to_pylist()
    expected = json.loads(whole.output.read_text())
    by_image = {image["id"]: [] for image in expected["images"]}
    for a in expected["annotations"]:
        by_image[a["image_id"]].append(a)
    assert sorted(int(row["image_id"]) for row in rows) == list(by_image)
    assert {int(r["image_id"]): json.loads(r["annotations"]) for r in rows} == by_image
    assert json.loads((output / "_SUCCESS").read_text())["counts"]["instances"] == 48


def test_a_network_measures_what_it_measures_alone(cluster, write, tmp_path):
    """The network that comes along: its calibration on the input, weights read by actors."""
    path = write(pairs(1, 6))
    whole = convert(ConversionJob(path, tmp_path / "whole.json", opts=("MODEL.DEVICE", "cpu")))
    result = convert_with_ray(RayJob(str(path), str(tmp_path / "out.json"), on_gpus=False))
    assert whole.info["gap"]["measured_on"]["images"] == 6
    assert result.info == whole.info
    assert (tmp_path / "out.json").read_bytes() == whole.output.read_bytes()


def test_rows_of_every_kind_and_what_becomes_of_them(cluster, tmp_path, monkeypatch):
    """JSON of one image as in SA-1B, in a far store; JSON lines; Parquet; and what was written."""
    sam = [of_sam(image_id) for image_id in (3, 5)]
    for number, row in enumerate(sam):
        (tmp_path / f"sa_{number}.json").write_text(json.dumps(row))
    flat = [{**row["image"], "annotations": row["annotations"]} for row in sam]
    text = "".join(json.dumps(row) + "\n\n" for row in flat)
    (tmp_path / "rows.jsonl").write_text(text)
    pq.write_table(pyarrow.Table.from_pylist(flat), tmp_path / "rows.parquet")
    written = {}
    for name in ("rows.jsonl", "rows.parquet"):
        job = RayJob(str(tmp_path / name), str(tmp_path / "out.json"), "convex_r", overwrite=True)
        info = convert_with_ray(job).info
        assert (info["input"], info["documents"], info["format"]) == (name, 2, "coco")
        written[name] = json.loads((tmp_path / "out.json").read_text())
    lines, table = written.values()
    assert [a["occluder_ids"] for a in lines["annotations"]] == [[301], [], [501], []]
    assert lines["categories"][0]["name"] == "object"
    for key in ("images", "annotations", "categories"):
        assert lines[key] == table[key]
    far_store.register()
    monkeypatch.setattr(reading, "_rows_of_files", far_store.rows_of_files)
    far = RayJob(f"far://{tmp_path}/sa_*.json", f"far://{tmp_path}/amodal", "convex_r")
    assert convert_with_ray(far).tally.occluded == 2
    with pytest.raises(UserError, match="amodal exists: name another folder, or delete it"):
        convert_with_ray(far)
    again = RayJob(str(tmp_path / "amodal"), str(tmp_path / "again.json"), "raw")
    assert convert_with_ray(again).info["format"] == "pseudo_amodal"
    read = json.loads((tmp_path / "again.json").read_text())
    assert read["images"] == lines["images"]
    given = [a["modal_segmentation"] for a in read["annotations"]]
    assert given == [a["modal_segmentation"] for a in lines["annotations"]]


def test_the_users_errors_are_one_line(cluster, write, tmp_path):
    write(pairs(1, 2), "a.json")
    bad = pairs(5, 3)
    bad["annotations"][3]["segmentation"] = {"size": [3, 3], "counts": "9"}
    write(bad, "b.json")
    pattern = str(tmp_path / "*.json")
    with pytest.raises(UserError, match=r"b.json: image 6 \(6.png\), annotation 61: [^\n]*$"):
        convert_with_ray(RayJob(pattern, str(tmp_path / "out"), "convex_r"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]
    result = convert_with_ray(RayJob(pattern, str(tmp_path / "out"), "raw", skip_invalid=True))
    assert result.tally.instances == 9 and result.tally.skipped.total() == 1
    (tmp_path / "rows.jsonl").write_text("{}\n{'id'")
    with pytest.raises(UserError, match="rows.jsonl: line 1: a row has no 'annotations'"):
        convert_with_ray(RayJob(str(tmp_path / "rows.jsonl"), str(tmp_path / "o"), "raw"))
    twice = json.dumps(flat(9)) + "\n"
    (tmp_path / "rows.jsonl").write_text(twice + twice)
    with pytest.raises(UserError, match="rows.jsonl: image id '9' occurs twice in it"):
        convert_with_ray(RayJob(str(tmp_path / "rows.jsonl"), str(tmp_path / "o"), "raw"))
    with pytest.raises(UserError, match="--overwrite"):
        convert_with_ray(RayJob(pattern, str(tmp_path / "out"), "raw"))
    kept = [row["image_id"] for row in pq.read_table(tmp_path / "out").to_pylist()]
    assert sorted(kept) == ["1", "2", "5", "6", "7"]


def test_what_was_written_is_read_again(cluster, write, tmp_path):
    """Images without objects give no category, and what has no image makes none."""
    document = coco([*touching_pair(1, 1), annotation(5, 77)], 2)
    document["categories"].append({"id": 1, "name": "tram"})
    for pair in document["annotations"][:2]:
        pair["category_id"] = 1
    (tmp_path / "in").mkdir()
    write(document, "in/a.json")
    write(coco([], 0), "in/b.json")
    how = {"method": "raw", "skip_invalid": True}
    convert_with_ray(RayJob(str(tmp_path / "in"), str(tmp_path / "out"), **how))
    convert_with_ray(RayJob(str(tmp_path / "out"), str(tmp_path / "again.json"), **how))
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["images"] == document["images"]
    assert [a["id"] for a in again["annotations"]] == [1, 2, 5]
    assert again["categories"] == [{"id": 1, "name": "tram"}]


def test_a_machine_that_does_not_see_the_output_is_told(cluster, write, tmp_path, monkeypatch):
    """It makes no folder of its own, in which its rows would be lost."""

    @contextlib.contextmanager
    def unseen(path):
        with whole_folder(path) as folder:
            folder.rmdir()
            yield folder

    monkeypatch.setattr(output, "whole_folder", unseen)
    job = RayJob(str(write(pairs(1, 2))), str(tmp_path / "out"), "raw")
    with pytest.raises(UserError, match=r"out cannot be written: [^\n\x1b]*No such file[^\n]*$"):
        convert_with_ray(job)
    assert [p.name for p in tmp_path.iterdir()] == ["in.json"]


# -------------------------------------------------------------------- without a cluster


def test_a_name_that_parquet_cannot_hold(write):
    document = coco(touching_pair(1, 1), 1)
    document["images"][0]["file_name"] = "\ud800.png"
    rows = list(rows_of(read_index(write(document))))
    with pytest.raises(UserError, match=r"in.json: image 1: 'file_name' '\\ud800.png' holds half"):
        actors._packed(list(convert_rows(rows, Deoccluder.baseline("raw"))))


def test_what_is_found(write, tmp_path):
    (tmp_path / ".a.tmp").mkdir()
    for name in ("b.json", "a.json", "_SUCCESS", ".hidden.json", ".a.tmp/c.json", "photo.jpg"):
        write({}, name)
    files = InputFiles.find(str(tmp_path))
    assert files.names == [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert (files.size, files.is_local, files.folder) == (4, True, str(tmp_path))
    assert InputFiles.find(f"file://{tmp_path}/b*.json").names == files.names[1:]
    assert not InputFiles.find(files.names[0]).can_be_several
    write("", "c.parquet")
    for pattern, message in (
        (tmp_path, "it holds Parquet files and others"),
        (tmp_path / "*.jpg", "photo.jpg: not a file of .json"),
        (tmp_path / "x*", "there is no such file"),
        ("memory://a", "memory"),
        ("nowhere://a", "nowhere"),
        ("ftp://127.0.0.1:1/a", "^ftp://127.0.0.1:1/a: .*refused"),
        ("", "--input or --output is empty"),
    ):
        with pytest.raises(UserError, match=message):
            InputFiles.find(str(pattern))


def rows_in_folder(folder):
    job = RayJob(str(folder), "o", "raw")
    files = InputFiles.find(job.input).names
    return [row for file in files for row in reading.rows_of_file(file, job, False)]


def flat(image_id, **others):
    row = of_sam(image_id)
    return {**row["image"], "annotations": row["annotations"], **others}


def test_tables_of_different_columns(tmp_path):
    """What the first files have not, other files still have; so it is in structs. Nothing is lost
    for its name."""
    other = flat(2, path="mine", annotations=[annotation(5, 2, iscrowd=1)])
    text = json.dumps(flat(3)["annotations"])
    rows = {"1": flat(1), "2 #1?": other, "3": flat(3, annotations=text), "4": flat(5)}
    rows["4"]["image_id"] = "5"
    for name, row in rows.items():
        pq.write_table(pyarrow.Table.from_pylist([row]), tmp_path / f"{name}.parquet")
    (tmp_path / "4.parquet").rename(tmp_path / "4.PARQUET")
    found = rows_in_folder(tmp_path)
    assert [row.record["id"] for row in found] == [1, 2, 3, 5]
    assert found[1].record["path"] == "mine" and '"iscrowd": 1' in found[1].annotations[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as Parquet: .*0 bytes"),
        (b"PAR1 and no more", "cannot be read as Parquet: "),
        ([flat(1, seen=datetime.date(2020, 1, 1))], "row 1: 'seen' holds a date: write it as"),
        ([flat(1, jpg=b"\xff\xd8")], "row 1: 'jpg' holds bytes that are no text"),
        ([flat(1), flat(2, annotations=None)], "row 2: a row has no 'annotations'"),
        ([flat(1), {**flat(2), "image_id": None}], "row 2: an image has no key 'id'"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "a.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(pyarrow.Table.from_pylist(content), path)
    with pytest.raises(UserError, match=f"/a.parquet: {message}"):
        rows_in_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", json.dumps(of_sam())[:-9], "not a JSON file: .*the file is cut off"),
        ("a.json", json.dumps(of_sam()) + "{", "not a JSON file: text after the end"),
        (
            "a.json",
            json.dumps(of_sam())[:-1] + ', "annotations": []}',
            "'annotations' stands twice",
        ),
        (
            "a.jsonl",
            '{"annotations": [], "annotations": []}',
            "line 1: the key 'annotations' stands",
        ),
        ("a.jsonl", "\n" + "[" * 100_000, "line 2 is nested too deeply"),
        ("a.jsonl", '{"id": 1,', "line 1 is no JSON: "),
        ("a.jsonl", '{"annotations": []}', "line 1: an image has no key 'id'"),
    ],
)
def test_rows_that_cannot_be_used(write, tmp_path, name, text, message):
    write(text, name)
    with pytest.raises(UserError, match=f"/{name}: .*{message}"):
        rows_in_folder(tmp_path)


def test_a_table_runs_no_code(tmp_path):
    """Ray has a column type of pickles; values of it are never taken out."""
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectArray

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    objects = ArrowPythonObjectArray.from_objects([Bomb()])
    table = pyarrow.table({"id": [1], "annotations": objects})
    pq.write_table(table, tmp_path / "a.parquet")
    job = RayJob(str(tmp_path / "a.parquet"), "o", "raw")
    with pytest.raises(UserError, match="it holds ray.data.arrow_pickled"):
        list(reading.rows_of_file(job.input, job, False))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--shard-size 5", "--shard-size is not for --engine ray: Ray shares the work out"),
        ("--num-machines 2", "--num-machines is not for --engine ray: the cluster has its"),
        ("--min-score 0.5", "--min-score is not for --engine ray: convert COCO results with"),
        ("--num-gpus -1", "--num-gpus is -1: use 0 or more"),
        ("--num-workers 0", "--num-workers is 0: with --engine ray use 1 or more"),
        ("--output {F}/o.txt", "o.txt: name a .json, or a folder"),
        ("--output far://b/o.json", "one JSON is written to a local folder"),
        ("--input zip://a.json::b.zip", "an address in another"),
        ("--output {F}", "holds {F}/in.json: name another folder"),
        ("--output {F}/in.json --overwrite", "in.json is the input"),
        ("--input {F} --output {F}/o.json", "o.json lies in the folder of the input, and would be"),
        ("--ray-address 127.0.0.1:1 --engine local", "--ray-address is for --engine ray"),
    ],
)
def test_what_is_refused(write, tmp_path, capsys, options, message):
    path = write(coco([annotation(1)]))
    far_store.register()
    given = ["--input", str(path), "--output", str(tmp_path / "o.json"), "--method", "raw"]
    with pytest.raises(SystemExit) as stopped:
        main([*given, "--engine", "ray", *options.replace("{F}", str(tmp_path)).split()])
    err = capsys.readouterr().err
    assert stopped.value.code == 1 and message.replace("{F}", str(tmp_path)) in err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in.json"]


def test_a_cluster_that_is_not_there(write, tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as bound:  # nobody listens
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        job = RayJob(str(write(coco([]))), str(tmp_path / "o.json"), "raw", address=address)
        with pytest.raises(UserError, match=f"^--ray-address {address}: it cannot be reached: "):
            convert_with_ray(job)


def test_a_cluster_that_wants_a_token(write, tmp_path, monkeypatch):
    """Ray says nothing of it, whatever port it is."""

    def refuse(**settings):
        raise ConnectionError("Failed to connect")

    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        job = RayJob(str(write(coco([]))), str(tmp_path / "o.json"), "raw", address=address)
        with pytest.raises(UserError, match="Failed to connect: if it asks for a token, as Ray's"):
            convert_with_ray(job)


def test_errors_of_the_cluster_and_of_stores(tmp_path, monkeypatch):
    full = OSError(28, "No space left on device", "Failed to apply\nTo change")
    failed = ray.exceptions.RayTaskError("Write", "a traceback", full).as_instanceof_cause()
    bug = ray.exceptions.RayTaskError("Write", "a traceback", KeyError(1)).as_instanceof_cause()
    for error, message in (
        (failed, "^o cannot be written: No space left on device$"),
        (OSError(28, "No space left on device"), "^o cannot be written: No space left on device$"),
        (ray.exceptions.LocalRayletDiedError(), "^the Ray cluster has failed: The task's local"),
    ):
        with pytest.raises(UserError, match=message), ray_cluster.errors_in_one_line("o"):
            raise error
    with pytest.raises(KeyError), ray_cluster.errors_in_one_line("o"):
        raise bug

    def no_text(*args):
        raise RuntimeError

    far_store.register()
    monkeypatch.setattr(far_store.FarStore, "isdir", no_text)
    with pytest.raises(UserError, match=f"^far://{tmp_path}: RuntimeError$"):
        InputFiles.find(f"far://{tmp_path}")


def test_without_ray_it_says_what_to_install(write, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray.data", None)
    job = RayJob(str(write(coco([]))), str(tmp_path / "o.json"), "raw")
    with pytest.raises(UserError, match=r"pip install 'deocclusion_d2\[ray\]'"):
        convert_with_ray(job)
