#!/usr/bin/env python
"""See ``deocclusion_d2/cli/fit_ordering_prior.py``; ``--help`` has examples."""

from deocclusion_d2.cli.fit_ordering_prior import main

if __name__ == "__main__":
    main()
