"""Makers of synthetic data sets, one package each."""
