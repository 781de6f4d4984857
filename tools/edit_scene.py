#!/usr/bin/env python
"""See ``deocclusion_d2/cli/edit_scene.py``; ``--help`` has examples."""

from deocclusion_d2.cli.edit_scene import main

if __name__ == "__main__":
    main()
