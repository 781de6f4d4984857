"""Meta-architectures, one file each. Importing this registers them with Detectron2."""

from .pcnet_m import PCNetM

__all__ = ["PCNetM"]
