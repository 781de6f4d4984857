#!/usr/bin/env python
"""See ``deocclusion_d2/cli/evaluate_erasures.py``; ``--help`` has examples."""

from deocclusion_d2.cli.evaluate_erasures import main

if __name__ == "__main__":
    main()
