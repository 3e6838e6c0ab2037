"""Adapters that decode speech."""
