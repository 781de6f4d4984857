"""The ensemble's row of tables."""

from __future__ import annotations

from ..base import Row

ROWS = (
    # Of what the rows "OG+" and "Amodal-VAE" are. Inside of what the order puts in front both
    # count, and outside of it Amodal-VAE alone.
    Row(
        "ensemble",
        "dual_completion",
        "ensemble",
        "pcnet_m_plus",
        "self-supervised",
        ("completion", "predicted_modal", "label_conversion", "reliability"),
        networks={"amodal_vae": "amodal_vae_joint"},
        options={"ENSEMBLE.MEMBERS": "('og', 'amodal_vae')", "ENSEMBLE.RULE": "mean"},
    ),
)
