"""The catalogue of models, and the self-test weights."""
