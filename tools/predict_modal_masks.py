#!/usr/bin/env python
"""See ``deocclusion_d2/cli/predict_modal_masks.py``; ``--help`` has examples."""

from deocclusion_d2.cli.predict_modal_masks import main

if __name__ == "__main__":
    main()
