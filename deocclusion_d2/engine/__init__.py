"""Training and evaluation loops."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(__name__, {"trainer": ["Trainer"]})
