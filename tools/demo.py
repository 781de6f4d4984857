#!/usr/bin/env python
"""See ``deocclusion_d2/cli/demo.py``; ``--help`` has examples."""

from deocclusion_d2.cli.demo import main

if __name__ == "__main__":
    main()
