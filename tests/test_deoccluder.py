"""Which steps a config names, of which systems, and which keys they honour."""

from __future__ import annotations

import pytest

from deocclusion_d2 import Deoccluder
from deocclusion_d2.errors import UserError
from tests.helpers import step_config


def test_a_method_needs_its_own_network(tmp_path):
    for text, message in {
        "PCNetM order_net raw": "DEOCCLUSION.ORDERING = 'order_net' runs OrderNet, but "
        "MODEL.META_ARCHITECTURE is 'PCNetM'",
        "OrderNet dual_completion raw": "ORDERING = 'dual_completion' runs PCNetM",
        "OrderNet order_net og": "COMPLETION = 'og' runs PCNetM",
        "AmodalUNet order_net supervised": "ORDERING = 'order_net' runs OrderNet",
        "PCNetM convex supervised": "COMPLETION = 'supervised' runs AmodalUNet",
        "AmodalUNet convex nog": "COMPLETION = 'nog' runs PCNetM",
    }.items():
        with pytest.raises(UserError, match=message.replace(".", r"\.")) as error:
            Deoccluder.from_config(step_config(tmp_path, text))
        assert "\n" not in str(error.value)
