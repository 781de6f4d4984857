"""Pairs as pictures and labels: exact masks, the same for any workers, and the program."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_api

from deocclusion_d2.data.datasets import ensure_registered
from deocclusion_d2.data.loaders import records_of
from deocclusion_d2.data.scenes import scene_from_record
from deocclusion_d2.data.true_order import order_from_amodal
from deocclusion_d2.errors import UserError
from deocclusion_d2.structures import WindowMask
from deocclusion_d2.synthesis.occlusion_pairs import (
    Bank,
    BankSettings,
    Composition,
    PairsConfig,
    PairSettings,
    PairSource,
    PlacementSettings,
    picture_of,
    write_pairs,
)
from deocclusion_d2.synthesis.occlusion_pairs.draw import Pair
from tests.helpers import program_of

H, W = 90, 120
PROGRAM = Path(__file__).parents[3] / "datasets" / "prepare_occlusion_pairs.py"
RULES = BankSettings(min_area=64, min_objects=1)
CATEGORIES = [{"id": 1, "name": "box"}, {"id": 2, "name": "disc"}, {"id": 3, "name": "bar"}]


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return program_of(PROGRAM)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photos of noise, each with a box, a disc, and two bars that touch each other."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(12):
        name = f"{index:03d}.png"
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (H, W, 3), dtype=np.uint8))
        images.append({"id": index + 1, "file_name": name, "height": H, "width": W})
        disc = np.zeros((H, W), np.uint8)
        cv2.circle(disc, (90, 30), 12 + index % 3, 1, -1)
        masks = [WindowMask.filled((10, 10, 34 + index, 40)), WindowMask.from_array(disc)]
        masks += [WindowMask.filled((10, 60, 60, 70)), WindowMask.filled((60, 60, 110, 70))]
        for category, mask in zip((1, 2, 3, 3), masks, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": category,
                    "iscrowd": 0,
                    "segmentation": mask.to_rle(H, W),
                    "bbox": mask.xywh,
                    "area": mask.area,
                }
            )
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "masks.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def bank(photos: Path) -> Bank:
    return Bank.build(records_of(ensure_registered(f"coco:{photos / 'masks.json'}")), RULES)


def make(output: Path, bank: Bank, count: int = 6, **options):
    placement = PlacementSettings(grid=2)
    config = PairsConfig(PairSettings(placement, seed=3), image_format="png", **options)
    return write_pairs(output, count, bank, config, {}, CATEGORIES, progress=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_bank_of_the_photos(bank: Bank):
    assert {key: len(of) for key, of in bank.by_class.items()} == {1: 12, 2: 12}
    assert bank.left_out == {"near another mask": 24}


def test_labels_are_exact(tmp_path: Path, bank: Bank):
    """|B| = |modal B| + |A & B|, others lose what is pasted over, colours are those of a photo."""
    realised = make(tmp_path, bank)
    document = json.loads((tmp_path / "instances.json").read_text())
    decode = lambda rle: mask_api.decode(rle).astype(bool)  # noqa: E731
    assert [i["id"] for i in document["images"]] == list(range(6))
    for image in document["images"]:
        labels = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        front, back, *others = labels
        assert [a["role"] for a in labels[:2]] == ["occluder", "occludee"]
        a, b = decode(front["segmentation"]), decode(back["segmentation"])
        assert np.array_equal(decode(front["modal_segmentation"]), a)
        assert np.array_equal(decode(back["modal_segmentation"]), b & ~a)
        share = (a & b).sum() / b.sum()
        assert 0.2 <= share <= 0.5 and back["occlusion_rate"] == round(share, 6)
        assert realised.hidden[image["id"]] == back["occlusion_rate"]
        assert back["occluder_ids"] == [front["id"]] and front["occluder_ids"] == []
        assert front["source_image_id"] != back["source_image_id"] == image["source_image_id"]
        assert front["amodal_exact"] and back["amodal_exact"]
        for other in others:
            whole, left = (decode(other[k]) for k in ("segmentation", "modal_segmentation"))
            assert np.array_equal(left, whole & ~a)
            assert other["role"] == "other" and not other["amodal_exact"]
            assert other["occluder_ids"] == ([front["id"]] if (whole & a).any() else [])
        picture = cv2.imread(str(tmp_path / "images" / image["file_name"]))
        host = cv2.imread(str(tmp_path / "images" / image["source_image"]))
        assert np.array_equal(picture[~a], host[~a])
        assert not np.array_equal(picture[a], host[a])


def test_it_opens_and_the_order_is_the_pasted_one(tmp_path: Path, bank: Bank):
    make(tmp_path, bank)
    name = ensure_registered(f"pseudo_amodal:{tmp_path / 'instances.json'}@{tmp_path / 'images'}")
    for record in records_of(name):
        scene, truth = scene_from_record(record, load_image=True)
        assert truth.amodal_exact.tolist() == [True, True, *[False] * (len(scene) - 2)]
        orders = order_from_amodal(scene, truth)
        assert orders[0, 1] == 1
        # Nobody knows the order of two others; the occluder hides whatever it does not only touch.
        assert all(pair[0] == 0 and order in (0, 1) for pair, order in orders.items())
        photo = truth.unhidden(1, scene.image)
        assert photo.shape == (H, W, 3)
        outside = ~truth.amodal_masks[0].to_array(H, W)
        assert np.array_equal(photo[outside], scene.image[outside])
        assert not np.array_equal(photo, scene.image)
        # What is pasted is whole in the picture itself; of others nobody knows more.
        assert np.array_equal(truth.unhidden(0, scene.image), scene.image)
        assert all(truth.unhidden(row, scene.image) is None for row in range(2, len(scene)))


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("feather", [False, True])
def test_colours_of_the_occluder(bank: Bank, flipped: bool, feather: bool):
    """At its own size, every pixel of it is the photo's; feathered, all but the outermost."""
    occludee, occluder = bank.by_class[1][0], bank.by_class[2][1]
    source = bank.mask(occluder)
    pair = Pair(occludee, occluder, (20, 25), flipped, source.array.shape)
    composition = Composition.of(bank, pair)
    host, photo = (
        cv2.imread(bank.records[o.record]["file_name"])[:, :, ::-1] for o in (occludee, occluder)
    )
    picture = picture_of(bank, composition, feather)
    x0, y0, x1, y1 = source.box
    window, mask = photo[y0:y1, x0:x1], source.array
    if flipped:
        window, mask = window[:, ::-1], mask[:, ::-1]
    placed = np.zeros((H, W), bool)
    placed[25 : 25 + mask.shape[0], 20 : 20 + mask.shape[1]] = mask
    assert np.array_equal(composition.occluder.to_array(H, W), placed)
    expected = host.copy()
    expected[25 : 25 + mask.shape[0], 20 : 20 + mask.shape[1]][mask] = window[mask]
    if not feather:
        assert np.array_equal(picture, expected)
        return
    inner = cv2.erode(placed.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    sure = inner | ~placed
    assert np.array_equal(picture[sure], expected[sure])
    # Leftmost pixel of the topmost row: 4 of the 9 pixels around are the occluder's, by hand.
    y, x = np.argwhere(placed)[0]
    share = placed[y - 1 : y + 2, x - 1 : x + 2].mean()
    mixed = share * expected[y, x] + (1 - share) * host[y, x]
    assert np.abs(picture[y, x] - mixed).max() <= 0.5 + 1e-3


def test_an_occluder_is_resized_to_a_limit(bank: Bank):
    """4 times the area is twice the length; limits 0.5 and 1.2; at most twice its size."""
    source = PairSource(bank, PairSettings(size_ratio=(0.5, 1.2)))
    assert source._size((100, 50), 4.0) == (60, 30)
    assert source._size((100, 50), 1.0) == (100, 50)
    assert source._size((100, 50), 1 / 9) == (150, 75)
    assert source._size((100, 50), 1 / 16) == (200, 100)
    assert source._size((100, 50), 1 / 17) is None
    assert PairSource(bank, PairSettings(scale="none"))._size((100, 50), 100.0) == (100, 50)


def test_classes_are_uniform(bank: Bank):
    """Of 12 and 2 objects: 300 draws are 150 +- 4 * 8.7 of each; and the two are independent."""
    some = Bank(bank.records, {1: bank.by_class[1], 2: bank.by_class[2][:2]}, {})
    source = PairSource(some, PairSettings(PlacementSettings(grid=4), seed=1))
    drawn = [source.draw(k) for k in range(300)]
    pairs = Counter((p.occludee.category_id, p.occluder.category_id) for p in drawn)
    assert sorted(pairs) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert all(45 <= count <= 105 for count in pairs.values())  # 75 +- 4 * 7.5
    assert all(p.occludee.record != p.occluder.record for p in drawn)
    assert {p.flipped for p in drawn} == {False, True}


def test_bytes_do_not_depend_on_workers_count_or_an_interruption(
    tmp_path: Path, bank: Bank, monkeypatch: pytest.MonkeyPatch
):
    make(tmp_path / "one", bank)
    expected = files(tmp_path / "one")
    config = PairsConfig(PairSettings(PlacementSettings(grid=2), seed=3), image_format="png")
    arguments = (bank, config, {}, CATEGORIES)
    write_pairs(tmp_path / "two", 6, *arguments, num_workers=2, progress=False)
    assert files(tmp_path / "two") == expected
    write_pairs(tmp_path / "more", 8, *arguments, progress=False)
    more = files(tmp_path / "more")
    assert {k: v for k, v in more.items() if k in expected and k.endswith("png")} == {
        k: v for k, v in expected.items() if k.endswith("png")
    }

    drawn = []

    def stops(self: PairSource, index: int) -> Pair:
        if len(drawn) == 4:
            raise KeyboardInterrupt
        drawn.append(index)
        return original(self, index)

    original = PairSource.draw
    monkeypatch.setattr(PairSource, "draw", stops)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "killed", bank)
    assert not (tmp_path / "killed/instances.json").exists()
    monkeypatch.setattr(PairSource, "draw", lambda self, k: (drawn.append(k), original(self, k))[1])
    make(tmp_path / "killed", bank)
    assert drawn == list(range(6))  # nothing twice
    assert files(tmp_path / "killed") == expected
    with pytest.raises(UserError, match="exists; give --overwrite"):
        make(tmp_path / "killed", bank)


def test_only_pairs_are_overwritten(tmp_path: Path, bank: Bank):
    """``instances.json`` is a name that annotations of photos have too."""
    config = PairsConfig(PairSettings(PlacementSettings(grid=2)), image_format=None)
    theirs = tmp_path / "instances.json"
    theirs.write_text('{"images": []}')
    with pytest.raises(UserError, match="instances.json holds no pasted pairs: name another"):
        write_pairs(tmp_path, 2, bank, config, {}, CATEGORIES, overwrite=True, progress=False)
    assert theirs.read_text() == '{"images": []}'
    theirs.unlink()
    for _ in range(2):
        write_pairs(tmp_path, 2, bank, config, {}, CATEGORIES, overwrite=True, progress=False)


def test_an_unfinished_run_of_other_settings_is_not_gone_on_with(
    tmp_path: Path, bank: Bank, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(PairSource, "draw", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, bank)
    monkeypatch.undo()
    with pytest.raises(UserError, match="unfinished run with other settings"):
        make(tmp_path, bank, feather=True)


def test_a_pair_without_a_place_names_its_objects(bank: Bank):
    settings = PairSettings(PlacementSettings((0.999, 1.0), grid=50), scale="none")
    with pytest.raises(UserError, match=r"pair 0: 400 occluders .* annotation \d+ of .*png on "):
        PairSource(bank, settings).draw(0)


def test_the_program(
    program: ModuleType, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture
):
    rules = ["--min-area", "64", "--min-objects", "1", "--grid", "2", "--num-workers", "0"]
    source = ["--input", str(photos / "masks.json"), "--num-images", "4"]
    output = ["--output", str(tmp_path / "pairs")]
    program.main([*source, *output, *rules])
    said = capsys.readouterr().out
    assert "24 complete objects of 2 classes: box 12, disc 12\nleft out: 24 near another" in said
    assert "4 images, " in said and "occludees: " in said
    document = json.loads((tmp_path / "pairs/instances.json").read_text())
    assert document["categories"] == CATEGORIES
    assert document["info"]["source"]["annotations"] == "masks.json"
    assert len(list((tmp_path / "pairs/images").iterdir())) == 4
    assert not (tmp_path / "pairs/.parts").exists()

    # Masks alone need no photos, and hold the same labels.
    alone = tmp_path / "alone"
    lone = alone / "masks.json"
    alone.mkdir()
    lone.write_bytes((photos / "masks.json").read_bytes())
    program.main(
        ["--input", str(lone), "--num-images", "4", "--output", str(alone / "o"), *rules]
        + ["--masks-only"]
    )
    masks = json.loads((alone / "o/instances.json").read_text())
    assert masks["annotations"] == document["annotations"]
    assert [path.name for path in (alone / "o").iterdir()] == ["instances.json"]

    # One object that only looks complete.
    (tmp_path / "reject.txt").write_text("# a shadow\n1\n")
    program.main(
        [*source, "--output", str(tmp_path / "fewer"), *rules]
        + ["--reject", str(tmp_path / "reject.txt")]
    )
    assert "box 11, disc 12" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "none.json"], "data set 'none.json' is not registered"),
        (["--overlap", "0.5", "0.2"], "overlap must be two numbers"),
        (["--num-images", "0"], "--num-images must be 1 to"),
        (["--min-area", "100000"], "no class has 5 complete objects"),
        (["--reject", "nowhere.txt"], "--reject nowhere.txt: it cannot be read"),
        (["--output", "PHOTOS"], "masks.json is the input|its folder of images is that of the"),
        (["--quality", "0"], "jpeg_quality must lie in 1 ... 100"),
    ],
)
def test_refusals(
    program: ModuleType,
    tmp_path: Path,
    photos: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
):
    """One line, and nothing written."""
    folder = tmp_path / "images"
    folder.symlink_to(photos)
    given = {"--input": str(photos / "masks.json"), "--output": str(tmp_path / "pairs")}
    option, *values = arguments
    given[option] = values
    flat = []
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        flat += [key, *(str(tmp_path) if v == "PHOTOS" else v for v in values)]
    with pytest.raises(SystemExit):
        program.main([*flat, "--num-workers", "0"])
    error = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in error if "error" in line]) == 1
    assert re.search(message, error[-1])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images"]


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path, bank: Bank, photos: Path):
    records = [{**r, "file_name": str(tmp_path / "gone.png")} for r in bank.records]
    with pytest.raises(UserError, match=r"gone.png: there is no such file"):
        make(tmp_path / "o", Bank(records, bank.by_class, {}))
    assert not (tmp_path / "o/instances.json").exists()
