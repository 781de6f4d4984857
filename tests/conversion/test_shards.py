import numpy as np
import pytest

from deocclusion_d2.conversion.shards import ShardFolder, ShardPlan
from deocclusion_d2.errors import UserError
from deocclusion_d2.files import whole_text_file


def make_plan(images_of_items, size, images=5, instances=None):
    items = np.array(images_of_items, np.int32)
    instances = np.ones_like(items) if instances is None else np.array(instances, np.int32)
    return ShardPlan.make(items, instances, images, size)


class TestPlan:
    def test_consecutive_images_up_to_the_size(self):
        # Images 0..4 hold 2, 1, 0, 4, 1 items; one item belongs to none.
        plan = make_plan([3, 0, 3, 1, -1, 0, 3, 4, 3], size=3)
        assert plan.shard_of_image.tolist() == [0, 0, -1, 1, 2]
        assert plan.instances.tolist() == [3, 4, 1]
        assert plan.shard_of_items().tolist() == [1, 0, 1, 0, -1, 0, 1, 2, 1]
        assert [s.tolist() for s in plan.items_by_shard()] == [[1, 5, 3], [0, 2, 6, 8], [7]]

    def test_items_that_hold_many_instances(self):
        plan = make_plan([0, 1, 2], size=10, images=3, instances=[6, 4, 1])
        assert plan.shard_of_image.tolist() == [0, 0, 1]

    def test_nothing(self):
        plan = make_plan([], size=3)
        assert len(plan) == 0 and list(plan.items_by_shard()) == []

    def test_an_item_without_instances_is_in_a_shard(self):
        plan = make_plan([0], size=3, instances=[0])
        assert [s.tolist() for s in plan.items_by_shard()] == [[0]]


class TestFolder:
    def test_lines_come_back_in_the_order_of_the_input(self, tmp_path, monkeypatch):
        rng = np.random.default_rng(0)
        shards = rng.integers(-1, 7, 200)
        folder = ShardFolder(tmp_path / "s")
        folder.open({"a": 1}, overwrite=False)
        for number in range(7):
            lines = (f"line {i}" for i in np.flatnonzero(shards == number))
            folder.write(number, {"number": number}, lines)
        wanted = [f"line {i}" if s >= 0 else None for i, s in enumerate(shards)]
        assert list(folder.lines(shards)) == wanted
        monkeypatch.setattr("deocclusion_d2.conversion.shards._OPEN_FILES", 2)
        assert list(folder.lines(shards)) == wanted
        assert folder.header(3) == {"number": 3}
        assert folder.header(9) is None

    def test_a_shortened_shard_is_found(self, tmp_path):
        folder = ShardFolder(tmp_path / "s")
        folder.open({}, overwrite=False)
        folder.write(0, {}, ["a"])
        with pytest.raises(UserError, match="is incomplete"):
            list(folder.lines(np.zeros(2, int)))

    def test_shards_stay_for_the_same_conversion_only(self, tmp_path):
        folder = ShardFolder(tmp_path / "s")
        folder.open({"input": "x", "size": (1, 2)}, overwrite=False)
        folder.write(0, {}, ["a"])
        (folder.path / "shard-000001.jsonl.host.1.tmp").touch()  # left by a killed process
        with pytest.raises(ZeroDivisionError), whole_text_file(folder.shard(2)):
            (growing,) = folder.path.glob(".*.tmp")
            # What another run is writing stays.
            folder.open({"input": "x", "size": (1, 2)}, overwrite=False)
            assert growing.exists()
            raise ZeroDivisionError
        assert sorted(p.name for p in folder.path.iterdir()) == [
            "manifest.json",
            "shard-000000.jsonl",
        ]
        with pytest.raises(UserError) as error:
            folder.open({"input": "y", "size": (1, 3)}, overwrite=False)
        assert str(error.value) == (
            f"{folder.path} holds shards of another conversion (other input, size): "
            "pass --overwrite to start anew, or delete that folder"
        )
        folder.open({"input": "y", "size": (1, 3)}, overwrite=True)
        assert folder.header(0) is None

    def test_a_folder_without_finished_shards_stops_nobody(self, tmp_path):
        folder = ShardFolder(tmp_path / "s")
        folder.open({"input": "x"}, overwrite=False)
        folder.open({"input": "y"}, overwrite=False)


def test_a_fingerprint_of_an_older_version_may_stand_for_the_same(tmp_path):
    folder = ShardFolder(tmp_path / "out.json.shards")
    folder.open({"method": "pcnet", "config": "old"}, overwrite=False)
    folder.write(0, {"tally": {}}, ["line"])
    with pytest.raises(UserError, match=r"shards of another conversion \(other config\)"):
        folder.open({"method": "pcnet", "config": "new"}, overwrite=False)
    folder.open({"method": "pcnet", "config": "new"}, False, [{"method": "pcnet", "config": "old"}])
    assert folder.header(0) == {"tally": {}}
