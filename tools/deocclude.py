#!/usr/bin/env python
"""See ``deocclusion_d2/cli/deocclude.py``; ``--help`` has examples."""

from deocclusion_d2.cli.deocclude import main

if __name__ == "__main__":
    main()
