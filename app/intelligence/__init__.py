"""Adapters that ask language models."""
