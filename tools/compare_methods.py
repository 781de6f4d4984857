#!/usr/bin/env python
"""See ``deocclusion_d2/cli/compare_methods.py``; ``--help`` has examples."""

from deocclusion_d2.cli.compare_methods import main

if __name__ == "__main__":
    main()
