import builtins

import numpy as np
import pytest

from deocclusion_d2.conversion.annotations import ShardReader
from deocclusion_d2.conversion.document_index import DROPPED, read_index
from deocclusion_d2.conversion.shards import ShardPlan
from deocclusion_d2.errors import UserError

from .conftest import annotation, coco, rectangle


def test_unknown_format(write):
    path = write(coco([{"id": 1, "image_id": 1, "outline": []}]))
    with pytest.raises(UserError) as error:
        read_index(path)
    assert str(error.value) == (
        f"{path}: the format cannot be told from the keys of the annotations "
        "(id, image_id, outline): pass --format, or name it as in coco:FILE.json"
    )


@pytest.mark.parametrize("annotations_first", [False, True])
def test_places(write, annotations_first):
    document = coco([annotation(7, 3), annotation(5, 1), annotation(6, 3)])
    if annotations_first:
        document = dict(reversed(document.items()))
    index = read_index(write(document))
    assert index.format.name == "coco"
    assert index.image_of_item.tolist() == [2, 0, 2]
    assert [c["id"] for c in index.categories] == [2, 4]
    with index.path.open("rb") as file:
        assert [index.read_annotation(file, i)["id"] for i in range(3)] == [7, 5, 6]
        assert index.image_info(file, 1).file_name == "2.png"


def test_a_shard_reads_only_its_own_items(write, monkeypatch):
    path = write(coco([annotation(i, 1 + i // 10) for i in range(30)]))
    index = read_index(path)
    plan = ShardPlan.make(index.image_of_item, index.instances_of_item, 3, 10)
    second = list(plan.items_by_shard())[1]
    assert second.tolist() == list(range(10, 20))
    read = []

    class File:
        """Notes what is read of a file."""

        def __init__(self, *arguments):
            self.file = builtins.open(*arguments)  # noqa: SIM115  (closed by __exit__)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def seek(self, place):
            self.file.seek(place)

        def read(self, length):
            read.append((self.file.tell(), length))
            return self.file.read(length)

    monkeypatch.setattr(type(path), "open", lambda self, *a: File(self, *a))
    shard = ShardReader(index, None, skip_invalid=False).read(second)
    assert [i.scene.instance_ids for i in shard.images] == [list(range(10, 20))]
    places = [tuple(map(int, index.image_places[1]))]
    places += [tuple(map(int, index.item_places[i])) for i in second]
    assert read == places


def test_bytes_per_annotation(write):
    index = read_index(write(coco([annotation(i) for i in range(100)])))
    arrays = [v for v in vars(index).values() if isinstance(v, np.ndarray)]
    assert sum(a.nbytes for a in arrays if len(a) == 100) == 100 * (16 + 4 + 4)


class TestFilesAsAWhole:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.pop("annotations"),
             "there is no list 'annotations': is this a COCO-like JSON?"),
            (lambda d: d.pop("images"), "there is no list 'images', which the format coco needs"),
            (lambda d: d.update(categories={}), "the file has no list 'categories'"),
            (lambda d: d.update(annotations={}), "'annotations' is not a list"),
            (lambda d: d.update(images=None), "'images' is not a list"),
        ],
    )  # fmt: skip
    def test_missing_lists(self, write, change, message):
        document = coco([annotation(1)])
        change(document)
        path = write(document)
        for skip_invalid in (False, True):
            with pytest.raises(UserError) as error:
                read_index(path, skip_invalid=skip_invalid)
            assert str(error.value) == f"{path}: {message}"

    @pytest.mark.parametrize(
        ("images", "message"),
        [
            ([{"id": 1, "file_name": "1.png", "height": 5}],
             "image 1 (1.png): it has no key 'width'"),
            ([{"file_name": "1.png"}], "an image has no key 'id'"),
            ([{"id": 1, "file_name": "1.png", "height": 10**9, "width": 10**9}],
             "image 1 (1.png): 1000000000 x 1000000000 pixels are more than the 2147483648 that "
             "masks can have"),
            ([{"id": 1, "file_name": "1.png", "height": 0, "width": 2}],
             "image 1 (1.png): 'height' is 0, not a positive integer"),
            ([{"id": 1, "file_name": "1.png", "height": 1, "width": 2}] * 2,
             "image 1: this image id occurs twice"),
        ],
    )  # fmt: skip
    def test_images(self, write, images, message):
        path = write({**coco([]), "images": images})
        with pytest.raises(UserError) as error:
            read_index(path)
        assert str(error.value) == f"{path}: {message}"
        assert read_index(path, skip_invalid=True).skipped.examples.popitem()[1] == message

    def test_the_first_in_the_file_is_named(self, write):
        path = write(coco([annotation(1), annotation(2, 99), annotation(1), {"image_id": 1}]))
        with pytest.raises(UserError) as error:
            read_index(path, "coco")
        assert str(error.value) == (
            f"{path}: image 99, annotation 2: its image_id is not among the images"
        )
        skipped = read_index(path, "coco", skip_invalid=True).skipped
        assert skipped.examples == {
            "its image_id is not among the images": (
                "image 99, annotation 2: its image_id is not among the images"
            ),
            "this annotation id occurs twice": (
                "image 1 (1.png), annotation 1: this annotation id occurs twice"
            ),
            "it has no key 'id'": "annotation number 4: it has no key 'id'",
        }

    def test_annotations_of_an_image_that_cannot_be_used(self, write):
        document = coco([annotation(1), annotation(2), annotation(3, 2)])
        document["images"][0]["width"] = "wide"
        index = read_index(write(document), skip_invalid=True)
        assert index.image_of_item.tolist() == [-1, -1, 1]
        assert dict(index.skipped.skipped) == {
            "'width' is 'wide', not a positive integer": 1,
            "its image cannot be used": 2,
        }

    def test_ids_that_are_texts_or_long(self, write):
        ids = ["a", 2**70, "b", 2**70, "a"]
        index = read_index(write(coco([annotation(i) for i in ids])), skip_invalid=True)
        assert index.image_of_item.tolist() == [0, 0, 0, -1, -1]


def entry(id, image_id):
    region = {"segmentation": rectangle(1, 1, 4, 4), "order": 1}
    return {"id": id, "image_id": image_id, "file_name": f"{image_id}.jpg", "regions": [region] * 2}


class TestCocoa:
    def test_one_entry(self, write):
        index = read_index(write(entry(8, 3)))
        assert index.format.name == "cocoa" and index.top == {}
        assert index.image_of_item.tolist() == [0] and index.instances_of_item.tolist() == [2]
        assert index.entry_images[0].file_name == "3.jpg"
        with index.path.open("rb") as file:
            assert index.read_annotation(file, 0) == entry(8, 3)

    def test_a_list_of_entries_with_a_further_annotator(self, write):
        index = read_index(write([entry(8, 3), entry(9, 4), entry(10, 3)]))
        assert index.image_of_item.tolist() == [0, 1, DROPPED]
        assert index.skipped.examples.popitem()[1] == (
            "image 3, entry 10: a further annotator's entry of an image, left out"
        )

    @pytest.mark.parametrize("regions", [None, 1.5, {}])
    def test_regions_that_are_no_list(self, write, regions):
        path = write([entry(8, 3), {**entry(9, 4), "regions": regions}])
        with pytest.raises(UserError) as error:
            read_index(path)
        assert str(error.value) == f"{path}: entry 9: it has no list 'regions'"
        assert read_index(path, skip_invalid=True).image_of_item.tolist() == [0, -1]

    def test_with_a_list_of_images(self, write):
        images = [{"id": i, "file_name": f"{i}.jpg", "height": 20, "width": 30} for i in (3, 4)]
        index = read_index(write({"images": images, "annotations": [entry(8, 4)]}))
        assert index.image_of_item.tolist() == [1] and index.entry_images is None
