#!/usr/bin/env python
"""See ``deocclusion_d2/cli/visualize_training_samples.py``; ``--help`` has examples."""

from deocclusion_d2.cli.visualize_training_samples import main

if __name__ == "__main__":
    main()
