#!/usr/bin/env python
"""See ``deocclusion_d2/cli/visualize_deocclusion.py``; ``--help`` has examples."""

from deocclusion_d2.cli.visualize_deocclusion import main

if __name__ == "__main__":
    main()
