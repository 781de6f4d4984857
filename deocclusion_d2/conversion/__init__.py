"""Modal annotations -> pseudo-amodal COCO JSON."""

from .convert import convert
from .job import ConversionJob, file_sha256

__all__ = ["ConversionJob", "convert", "file_sha256"]
