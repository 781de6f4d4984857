"""Modal annotations -> pseudo-amodal COCO JSON."""

from .convert import convert
from .job import ConversionJob

__all__ = ["ConversionJob", "convert"]
