"""BCNet's mask head: two layers, of which the first explains what hides the second."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from detectron2.config import configurable
from detectron2.layers import Conv2d, ConvTranspose2d, ShapeSpec, get_norm
from detectron2.modeling import ROI_MASK_HEAD_REGISTRY
from detectron2.modeling.roi_heads.mask_head import mask_rcnn_inference
from detectron2.structures import Instances
from detectron2.utils.events import get_event_storage
from fvcore.nn import weight_init
from torch import nn

from ...errors import UserError
from .losses import BALANCES, boundaries, judged_regions, mask_loss
from .pictures import FIELDS, TITLES, draw_layers

# By the names that logs have.
Losses = dict[str, torch.Tensor]

# Outputs for a region of P x P features: 2 P x 2 P pixels.
_UPSAMPLING = 2
# Regions of a picture of training.
_SHOWN = 8


class NonLocalBlock(nn.Module):
    """Attention over all pixels of a region, added to its features.

    As a graph convolution: Z = BN(A X W) + X, where A is the softmax over pixels of theta(x) phi(x)
    / sqrt(channels). Attention is computed in float32: in float16 it overflows.

    Args:
        channels: of input and output.
        zero_init: start as the identity.
    """

    def __init__(self, channels: int, zero_init: bool = False) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (
            nn.Conv2d(channels, channels, 1, bias=False) for _ in range(4)
        )
        self.norm = nn.BatchNorm2d(channels, eps=1e-4)
        for layer in (self.query, self.key, self.value, self.output):
            weight_init.c2_msra_fill(layer)
        if zero_init:
            nn.init.zeros_(self.norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(R, C, H, W) -> the same."""
        query, key, value = (
            layer(x).flatten(2).float() for layer in (self.query, self.key, self.value)
        )
        with torch.autocast(x.device.type, enabled=False):
            weights = (query.transpose(1, 2) @ key * query.shape[1] ** -0.5).softmax(dim=2)
            gathered = (weights @ value.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.norm(self.output(gathered))


class Layer(nn.Sequential):
    """A stack of convolutions with a non-local block.

    Args:
        channels: of input and output.
        num_conv: of its convolutions, 3 x 3.
        norm: of theirs, see ``detectron2.layers.get_norm``.
        attention_after: the convolution that the block stands behind, from 1; 0 for no block.
        zero_init: see ``NonLocalBlock``.
    """

    def __init__(
        self, channels: int, num_conv: int, norm: str, attention_after: int, zero_init: bool
    ) -> None:
        super().__init__()
        for number in range(1, num_conv + 1):
            self.add_module(f"conv{number}", _conv(channels, channels, 3, norm))
            if number == attention_after:
                self.add_module("attention", NonLocalBlock(channels, zero_init))


class Predictor(nn.Sequential):
    """Upsamples features by two and makes logits of them: (R, C, P, P) -> (R, 1, 2 P, 2 P)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconv = ConvTranspose2d(channels, channels, _UPSAMPLING, stride=_UPSAMPLING)
        self.relu = nn.ReLU()
        self.predictor = Conv2d(channels, 1, 1)
        weight_init.c2_msra_fill(self.deconv)
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)


@dataclass
class Outputs:
    """Logits of R regions, (R, 1, 2 P, 2 P) each: masks and boundaries of object and occluders."""

    mask: torch.Tensor
    boundary: torch.Tensor
    occluder_mask: torch.Tensor
    occluder_boundary: torch.Tensor

    @property
    def parts(self) -> tuple[torch.Tensor, ...]:
        """In the order of ``pictures.FIELDS``."""
        return self.occluder_mask, self.occluder_boundary, self.mask, self.boundary


@dataclass(frozen=True)
class LossSettings:
    """How the losses are made; see the keys of ``MODEL.BCNET``."""

    weight_boundary: float = 1.0
    weight_occluder: float = 0.25
    weight_occluder_boundary: float = 1.0
    balance: str = BALANCES[0]

    def __post_init__(self) -> None:
        if self.balance not in BALANCES:
            raise UserError(
                f"MODEL.BCNET.BALANCE = {self.balance!r}: use one of {', '.join(BALANCES)}"
            )
        for name in ("boundary", "occluder", "occluder_boundary"):
            weight = getattr(self, f"weight_{name}")
            if not 0 <= weight < float("inf"):
                raise UserError(
                    f"MODEL.BCNET.WEIGHT_{name.upper()} = {weight}: use a number that is not "
                    "negative"
                )


@ROI_MASK_HEAD_REGISTRY.register()
class BCNetMaskHead(nn.Module):
    """A region explained by two layers: what hides the object, and then the object.

    The first layer finds masks and boundaries of the occluders in a region's features. What it has
    made of them is added to the features, and the second layer finds mask and boundary of the
    object itself. All four are class-agnostic; the answer is the second layer's mask.

    Args:
        input_shape: of a region's features.
        conv_dim: channels of both layers. Where the features have others, a 1 x 1 convolution comes
            first.
        num_conv: 3 x 3 convolutions of each layer.
        norm: of theirs; "" for none, as in the paper.
        attention_after: see ``Layer``.
        zero_init: see ``NonLocalBlock``.
        losses: how the losses are made.
        keep_extras: also give all four outputs by the names of ``pictures.FIELDS``; Detectron2
            pastes ``pred_masks`` alone into the image.
        vis_period: iterations between pictures of masks, see Detectron2's ``mask_rcnn_loss``.

    Raises:
        UserError: settings that cannot be.
    """

    @configurable
    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        conv_dim: int = 256,
        num_conv: int = 4,
        norm: str = "",
        attention_after: int = 2,
        zero_init: bool = False,
        losses: LossSettings | None = None,
        keep_extras: bool = False,
        vis_period: int = 0,
    ) -> None:
        super().__init__()
        if num_conv < 1:
            raise UserError(f"MODEL.ROI_MASK_HEAD.NUM_CONV = {num_conv}: use 1 or more")
        if conv_dim < 1:
            raise UserError(f"MODEL.ROI_MASK_HEAD.CONV_DIM = {conv_dim}: use 1 or more")
        if not 0 <= attention_after <= num_conv:
            raise UserError(
                f"MODEL.BCNET.ATTENTION_AFTER = {attention_after}: use a number from 0 to "
                f"MODEL.ROI_MASK_HEAD.NUM_CONV = {num_conv}"
            )
        self.losses = losses or LossSettings()
        self.keep_extras = keep_extras
        self.vis_period = vis_period
        self.reduce = (
            nn.Identity()
            if input_shape.channels == conv_dim
            else _conv(input_shape.channels, conv_dim, 1, norm)
        )
        stack = (conv_dim, num_conv, norm, attention_after, zero_init)
        self.occluder_layer, self.object_layer = Layer(*stack), Layer(*stack)
        self.mask = Predictor(conv_dim)
        self.boundary = Predictor(conv_dim)
        self.occluder_mask = Predictor(conv_dim)
        self.occluder_boundary = Predictor(conv_dim)

    @classmethod
    def from_config(cls, cfg, input_shape: ShapeSpec) -> dict:
        shared, own = cfg.MODEL.ROI_MASK_HEAD, cfg.MODEL.BCNET
        if not shared.CLS_AGNOSTIC_MASK:
            raise UserError(
                "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK is False: BCNet's masks are the same for "
                "all categories, set it to True"
            )
        return {
            "input_shape": input_shape,
            "conv_dim": shared.CONV_DIM,
            "num_conv": shared.NUM_CONV,
            "norm": shared.NORM,
            "attention_after": own.ATTENTION_AFTER,
            "zero_init": own.ZERO_INIT,
            "losses": LossSettings(
                own.WEIGHT_BOUNDARY,
                own.WEIGHT_OCCLUDER,
                own.WEIGHT_OCCLUDER_BOUNDARY,
                own.BALANCE,
            ),
            "keep_extras": own.KEEP_EXTRAS,
            "vis_period": cfg.VIS_PERIOD,
        }

    def layers(self, x: torch.Tensor) -> Outputs:
        """The four outputs for features of regions, (R, C, P, P)."""
        x = self.reduce(x)
        in_front = self.occluder_layer(x)
        behind = self.object_layer(x + in_front)
        return Outputs(
            mask=self.mask(behind),
            boundary=self.boundary(behind),
            occluder_mask=self.occluder_mask(in_front),
            occluder_boundary=self.occluder_boundary(in_front),
        )

    def forward(self, x: torch.Tensor, instances: list[Instances]) -> Losses | list[Instances]:
        """See ``detectron2.modeling.roi_heads.mask_head.BaseMaskRCNNHead``.

        Args:
            x: (R, C, P, P), the features of all regions of all images.
            instances: of each image; in training the regions that hold an object, with
                ``proposal_boxes``, ``gt_masks`` and ``gt_occluder_masks``; else with
                ``pred_boxes`` and ``pred_classes``.

        Returns:
            In training ``loss_mask``, ``loss_boundary``, ``loss_mask_occluder`` and
            ``loss_boundary_occluder``. Else the instances with ``pred_masks``, (R, 1, 2 P, 2 P)
            probabilities, and with what ``keep_extras`` adds, of the same shape.

        Raises:
            UserError: nobody has told what hides the objects that it is to learn from.
        """
        if self.training:
            # Without a region there is no batch to normalise.
            return self._losses(self.layers(x), instances) if len(x) else self._no_losses(x)
        outputs = self.layers(x)
        mask_rcnn_inference(outputs.mask, instances)
        if self.keep_extras:
            counts = [len(of_image) for of_image in instances]
            for name, logits in zip(FIELDS, outputs.parts, strict=True):
                for of_image, part in zip(instances, logits.sigmoid().split(counts), strict=True):
                    of_image.set(name, part)
        return instances

    def _losses(self, outputs: Outputs, instances: list[Instances]) -> Losses:
        side = outputs.mask.shape[-1]
        masks = self._targets(instances, "gt_masks", side).to(outputs.mask.device)
        occluders = self._targets(instances, "gt_occluder_masks", side).to(outputs.mask.device)
        is_occluded = occluders.flatten(1).any(dim=1)
        rows = judged_regions(is_occluded, self.losses.balance)
        in_front = occluders[rows]
        self._record(outputs, masks, occluders, is_occluded)
        losses = self.losses
        return {
            "loss_mask": mask_loss(outputs.mask[:, 0], masks),
            "loss_boundary": losses.weight_boundary
            * mask_loss(outputs.boundary[:, 0], boundaries(masks)),
            "loss_mask_occluder": losses.weight_occluder
            * mask_loss(outputs.occluder_mask[rows, 0], in_front),
            "loss_boundary_occluder": losses.weight_occluder_boundary
            * mask_loss(outputs.occluder_boundary[rows, 0], boundaries(in_front)),
        }

    def _record(
        self,
        outputs: Outputs,
        masks: torch.Tensor,
        occluders: torch.Tensor,
        is_occluded: torch.Tensor,
    ) -> None:
        """Scalars and, now and then, a picture for Detectron2's event storage."""
        storage = get_event_storage()
        correct = (outputs.mask[:, 0] > 0) == masks
        # Under the name that Mask R-CNN's has.
        storage.put_scalar("mask_rcnn/accuracy", correct.float().mean().item())
        storage.put_scalar("occluded_regions", is_occluded.float().mean().item())
        if self.vis_period > 0 and storage.iter % self.vis_period == 0:
            # The most hidden ones are worth a look.
            rows = occluders.flatten(1).sum(dim=1).argsort(descending=True, stable=True)[:_SHOWN]
            found = [part[rows].detach().float().sigmoid()[:, 0] for part in outputs.parts]
            true = [("true occluders", occluders[rows]), ("true object", masks[rows])]
            columns = [*zip(TITLES, found, strict=True), *true]
            picture = draw_layers([(title, part.cpu().numpy()) for title, part in columns])
            storage.put_image("layers", picture.transpose(2, 0, 1))

    def _no_losses(self, x: torch.Tensor) -> Losses:
        """Zeros that all parameters have a part in, as distributed training wants."""
        zero = x.sum() * 0 + sum(parameter.sum() * 0 for parameter in self.parameters())
        names = ("loss_mask", "loss_boundary", "loss_mask_occluder", "loss_boundary_occluder")
        return dict.fromkeys(names, zero / len(names))

    def _targets(self, instances: list[Instances], name: str, side: int) -> torch.Tensor:
        """(R, side, side) bool: true masks as the regions' boxes see them."""
        found = []
        for of_image in instances:
            if not len(of_image):
                continue
            if not of_image.has(name):
                raise UserError(
                    f"BCNet learns from {name!r}, which the training samples lack: set "
                    'MODEL.SYSTEM to "bcnet"'
                )
            boxes = of_image.proposal_boxes.tensor
            found.append(of_image.get(name).crop_and_resize(boxes, side))
        return torch.cat(found)


def _conv(inputs: int, outputs: int, size: int, norm: str) -> Conv2d:
    conv = Conv2d(
        inputs,
        outputs,
        size,
        padding=size // 2,
        bias=not norm,
        norm=get_norm(norm, outputs),
        activation=nn.ReLU(),
    )
    weight_init.c2_msra_fill(conv)
    return conv
