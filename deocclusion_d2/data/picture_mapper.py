"""Detectron2's mapper of images and instances, on pictures as this package reads them."""

from __future__ import annotations

import copy

import numpy as np
import torch
from detectron2.data import DatasetMapper, detection_utils
from detectron2.data import transforms as T
from PIL import Image

from .images import read_rgb


class PictureMapper(DatasetMapper):
    """``DatasetMapper`` that reads images by ``read_rgb``: one line for what cannot be used.

    Of images without a colour profile it makes what ``DatasetMapper`` makes, to the bit.
    """

    def __call__(self, dataset_dict: dict) -> dict:
        """See ``DatasetMapper``.

        Raises:
            UserError: the image cannot be read, or has another size than the annotations say.
        """
        dataset_dict = copy.deepcopy(dataset_dict)
        size = (dataset_dict["height"], dataset_dict["width"]) if "height" in dataset_dict else None
        image = self._in_format(read_rgb(dataset_dict["file_name"], size))
        detection_utils.check_image_size(dataset_dict, image)
        regions = None
        if "sem_seg_file_name" in dataset_dict:
            name = dataset_dict.pop("sem_seg_file_name")
            regions = detection_utils.read_image(name, "L").squeeze(2)

        augmented = T.AugInput(image, sem_seg=regions)
        transforms = self.augmentations(augmented)
        image, regions = augmented.image, augmented.sem_seg
        dataset_dict["image"] = torch.as_tensor(np.ascontiguousarray(image.transpose(2, 0, 1)))
        if regions is not None:
            dataset_dict["sem_seg"] = torch.as_tensor(regions.astype("long"))
        if self.proposal_topk is not None:
            detection_utils.transform_proposals(
                dataset_dict, image.shape[:2], transforms, proposal_topk=self.proposal_topk
            )
        if not self.is_train:
            dataset_dict.pop("annotations", None)
        elif "annotations" in dataset_dict:
            self._transform_annotations(dataset_dict, transforms, image.shape[:2])
        return dataset_dict

    def _in_format(self, rgb: np.ndarray) -> np.ndarray:
        return detection_utils.convert_PIL_to_numpy(Image.fromarray(rgb), self.image_format)
