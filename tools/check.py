#!/usr/bin/env python
"""See ``deocclusion_d2/cli/check.py``; ``--help`` has examples."""

from deocclusion_d2.cli.check import main

if __name__ == "__main__":
    main()
