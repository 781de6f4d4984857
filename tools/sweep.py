#!/usr/bin/env python
"""See ``deocclusion_d2/cli/sweep.py``; ``--help`` has examples."""

from deocclusion_d2.cli.sweep import main

if __name__ == "__main__":
    main()
