#!/usr/bin/env python
"""See ``deocclusion_d2/cli/convert_modal_to_amodal.py``; ``--help`` has examples."""

from deocclusion_d2.cli.convert_modal_to_amodal import main

if __name__ == "__main__":
    main()
