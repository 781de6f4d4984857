"""From annotation files to training samples and scenes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "loaders": ["build_scene_test_loader"],
        "train_loaders": [
            "build_amodal_unet_train_loader",
            "build_modal_unet_train_loader",
            "build_order_net_train_loader",
            "build_pcnet_c_train_loader",
            "build_pcnet_m_train_loader",
        ],
    },
)
