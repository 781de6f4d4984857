#!/usr/bin/env python
"""See ``deocclusion_d2/cli/make_general_model.py``; ``--help`` has examples."""

from deocclusion_d2.cli.make_general_model import main

if __name__ == "__main__":
    main()
