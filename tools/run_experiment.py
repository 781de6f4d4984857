#!/usr/bin/env python
"""See ``deocclusion_d2/cli/run_experiment.py``; ``--help`` has examples."""

from deocclusion_d2.cli.run_experiment import main

if __name__ == "__main__":
    main()
