#!/usr/bin/env python
"""See ``deocclusion_d2/cli/import_official_checkpoint.py``; ``--help`` has examples."""

from deocclusion_d2.cli.import_official_checkpoint import main

if __name__ == "__main__":
    main()
