"""Training of the mask head in several processes, and in low precision."""

from __future__ import annotations

import torch
from detectron2.utils.events import EventStorage
from torch import distributed as dist
from torch import multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from deocclusion_d2.modeling.precision import run_in_bfloat16
from deocclusion_d2.systems.bcnet.mask_head import BCNetMaskHead
from tests.systems.bcnet.test_mask_head import NAMES, instances, losses_of, small_head


class Half(nn.Module):
    """A head and something before it, as of a detector: what a process learns depends on both."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before, self.head = nn.Conv2d(8, 8, 1), small_head()

    def forward(self, x, given):
        with EventStorage():
            return self.head(self.before(x), given)


def train_in_two_processes(rank: int, folder: str) -> None:
    """A step with regions in one process alone, and one in which nothing is occluded."""
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    parallel = DistributedDataParallel(Half().train(), broadcast_buffers=False)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(rank)
    for occluded in ([True, False] if rank else [], [False], [True]):
        x = torch.randn(len(occluded), 8, 14, 14, generator=generator)
        optimizer.zero_grad()
        # A parameter without a gradient would stop the next step.
        sum(parallel(x, [instances(occluded)]).values()).backward()
        optimizer.step()
    torch.save(dict(parallel.module.named_parameters()), f"{folder}/{rank}.pth")
    dist.destroy_process_group()


def test_two_processes_stay_alike(tmp_path):
    mp.spawn(train_in_two_processes, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pth") for rank in (0, 1))
    before = dict(Half().named_parameters())
    assert any(not torch.equal(value, first[name]) for name, value in before.items())
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_bfloat16_learns_what_float32_learns():
    x, given = torch.randn(2, 8, 14, 14), [instances([True, False])]
    found = []
    for in_bfloat16 in (False, True):
        torch.manual_seed(0)
        head: BCNetMaskHead = small_head()
        if in_bfloat16:
            run_in_bfloat16(head)
        losses = losses_of(head, x, given)
        sum(losses.values()).backward()
        gradient = head.occluder_layer.conv1.weight.grad.flatten()
        found.append((torch.stack([losses[name] for name in NAMES]), gradient))
    (losses, gradient), (rough, rough_gradient) = found
    torch.testing.assert_close(losses, rough, rtol=0.02, atol=0)
    assert torch.cosine_similarity(gradient, rough_gradient, dim=0) > 0.98
