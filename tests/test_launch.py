"""Starting processes; a real group is started by the conversion's test."""

from __future__ import annotations

import pytest
import torch

from deocclusion_d2.errors import UserError
from deocclusion_d2.launch import launch


def test_one_process_runs_here():
    seen = []
    launch(seen.append, 1, args=("done",))
    assert seen == ["done"]


def test_what_cannot_be_started_is_one_line():
    count = torch.cuda.device_count() + 2
    with pytest.raises(UserError, match=f"--num-gpus is {count}, but this machine has"):
        launch(print, count)
    with pytest.raises(UserError, match="need --dist-url"):
        launch(print, 1, num_machines=2)
