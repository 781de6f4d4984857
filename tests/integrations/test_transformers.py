from __future__ import annotations

import numpy as np
import pytest
import torch

transformers = pytest.importorskip("transformers")
H, W = 48, 64


@pytest.fixture
def outputs(masks):
    """Logits of four queries: the masks as classes 2 and 1, and two that see nothing."""
    logits = torch.full((1, 4, H, W), -9.0)
    logits[0, :2][torch.from_numpy(masks)] = 9.0
    classes = torch.full((1, 4, 4), -9.0)  # three classes, and none
    classes[0, 0, 2] = classes[0, 1, 1] = classes[0, 2:, 3] = 9.0
    return classes, logits


OUTPUTS = {
    "MaskFormer": "MaskFormerForInstanceSegmentationOutput",
    "Mask2Former": "Mask2FormerForUniversalSegmentationOutput",
}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_mask_classification(name, binary, outputs, masks, deoccluder, expected):
    classes, logits = outputs
    module = getattr(transformers.models, name.lower())
    modeling = getattr(module, f"modeling_{name.lower()}")
    output = getattr(modeling, OUTPUTS[name])
    processor = getattr(transformers, f"{name}ImageProcessor")()
    results = processor.post_process_instance_segmentation(
        output(class_queries_logits=classes, masks_queries_logits=logits),
        target_sizes=[(H, W)],
        return_binary_maps=binary,
    )
    result = deoccluder.predict(results, contiguous_ids={10: 1, 20: 2, 30: 0})
    # Queries come in any order.
    order = np.argsort(-result.scene.category_ids)
    assert sorted(result.scene.category_ids.tolist()) == [10, 20]
    for row, mask in zip(order, masks, strict=True):
        found = result.scene.modal_masks[row].to_array(H, W)
        assert (found & mask).sum() / (found | mask).sum() > 0.97
    assert result.graph.edges == [(int(order[1]), int(order[0]))]
    assert min(result.scene.scores) > 0.9


@pytest.mark.parametrize("binary", [False, True])
def test_rf_detr(binary, outputs, masks, deoccluder, expected):
    modeling = pytest.importorskip("transformers.models.rf_detr.modeling_rf_detr")
    classes, logits = outputs
    output = modeling.RfDetrInstanceSegmentationOutput(logits=classes[..., :3], pred_masks=logits)
    processor = transformers.RfDetrImageProcessor()
    results = processor.post_process_instance_segmentation(
        output, target_sizes=[(H, W)], return_binary_maps=binary
    )
    result = deoccluder.predict(results[0], contiguous_ids={10: 1, 20: 2, 30: 0})
    order = np.argsort(-result.scene.category_ids)
    assert [result.amodal_masks[row] for row in order] == expected.amodal_masks


def test_nothing_found(deoccluder):
    modeling = transformers.models.mask2former.modeling_mask2former
    output = modeling.Mask2FormerForUniversalSegmentationOutput(
        class_queries_logits=torch.tensor([[[-9.0, 9.0]]]),
        masks_queries_logits=torch.full((1, 1, 8, 8), -9.0),
    )
    processor = transformers.Mask2FormerImageProcessor()
    results = processor.post_process_instance_segmentation(output, target_sizes=[(H, W)])
    scene = deoccluder.predict(results).scene
    assert (scene.height, scene.width, len(scene)) == (H, W, 0)
