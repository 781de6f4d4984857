#!/usr/bin/env python
"""See ``deocclusion_d2/cli/train_net.py``; ``--help`` has examples."""

from deocclusion_d2.cli.train_net import main

if __name__ == "__main__":
    main()
