"""Makers of rendered data sets, one package each."""
