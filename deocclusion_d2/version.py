"""The package's version, in a file of its own, so that reading it imports nothing else."""

__version__ = "0.3.0"
# The oldest version whose conversions give the same result: its half-finished ones are gone on
# with. To be set to ``__version__`` by whoever changes what a conversion gives.
SAME_RESULTS_SINCE = "0.1.0"
