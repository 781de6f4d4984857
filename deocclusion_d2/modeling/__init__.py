"""Networks and losses that several systems share."""

from ..faces import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "discriminator": ["PatchDiscriminator"],
        "instance_network": ["InstanceNetwork"],
        "unet": ["UNet"],
    },
)
