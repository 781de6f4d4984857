"""The ensemble's row of tables."""

from __future__ import annotations

from ..base import Row

_TABLES = ("completion", "predicted_modal", "label_conversion", "reliability")


def _with_og(name: str, member: str) -> Row:
    return Row(
        name,
        "dual_completion",
        "ensemble",
        "pcnet_m_plus",
        "self-supervised",
        _TABLES,
        networks={member: "amodal_vae_joint"},
        options={"ENSEMBLE.MEMBERS": f"('og', '{member}')", "ENSEMBLE.RULE": "mean"},
    )


ROWS = (
    # The rows "OG+" and "Amodal-VAE og" together: both count inside of what the order puts in
    # front, and nothing is added elsewhere.
    _with_og("ensemble og", "amodal_vae_og"),
    # "OG+" and "Amodal-VAE": what nobody has annotated may hide an object too, and there Amodal-VAE
    # counts alone.
    _with_og("ensemble", "amodal_vae"),
)
