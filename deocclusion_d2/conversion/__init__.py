"""Modal annotations -> pseudo-amodal COCO JSON."""

from ..files import file_sha256
from .convert import ConversionResult, convert
from .job import ConversionJob

__all__ = ["ConversionJob", "ConversionResult", "convert", "file_sha256"]
