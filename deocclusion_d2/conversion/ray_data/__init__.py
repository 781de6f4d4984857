"""Conversion over Ray Data; imported with the engine alone, as Ray is an extra."""
