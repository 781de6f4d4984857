#!/usr/bin/env python
"""See ``deocclusion_d2/cli/export.py``; ``--help`` has examples."""

from deocclusion_d2.cli.export import main

if __name__ == "__main__":
    main()
