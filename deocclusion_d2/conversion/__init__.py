"""Modal annotations -> pseudo-amodal COCO JSON."""

from ..files import file_sha256
from .convert import convert
from .job import ConversionJob

__all__ = ["ConversionJob", "convert", "file_sha256"]
