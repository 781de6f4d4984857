"""Which predictor meets which loader and evaluator."""

from __future__ import annotations

from dataclasses import replace

from detectron2.evaluation import DatasetEvaluator
from torch import nn

from deocclusion_d2.config import load_config
from deocclusion_d2.engine.trainer import Trainer
from deocclusion_d2.systems import system_of


class Collected(DatasetEvaluator):
    def reset(self):
        self.outputs = []

    def process(self, inputs, outputs):
        self.outputs += outputs

    def evaluate(self):
        return {"collected": {"sum": sum(self.outputs)}}


class Plus(nn.Module):
    def __init__(self, summand: int) -> None:
        super().__init__()
        self.summand = summand

    def forward(self, batch):
        return [value + self.summand for value in batch]


def test_a_system_may_have_loader_predictor_and_evaluator(monkeypatch):
    """A loader of its own does not keep its predictor from being asked."""
    cfg = load_config(None, ["DATASETS.TEST", "('coco_2017_val',)", "MODEL.DEVICE", "cpu"])
    declared = system_of(cfg)
    network = replace(
        declared.network,
        test_loader=lambda cfg, name: [[k] for k in range(8)],
        evaluators=lambda cfg, name, folder: Collected(),
    )
    results = []
    for predictor in (None, lambda cfg, model: lambda batch: [10 * x for x in model(batch)]):
        own = replace(declared, network=replace(network, predictor=predictor))
        for module in ("evaluate", "trainer"):
            monkeypatch.setattr(f"deocclusion_d2.engine.{module}.system_of", lambda cfg, s=own: s)
        results.append(Trainer.test(cfg, Plus(1))["collected"]["sum"])
    assert results == [36, 360]
