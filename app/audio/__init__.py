"""Adapters that touch sound."""
