"""Training and evaluation loops."""

from .trainer import Trainer

__all__ = ["Trainer"]
