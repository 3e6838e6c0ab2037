"""Measurements: speed as ratios of medians, one command per table."""
