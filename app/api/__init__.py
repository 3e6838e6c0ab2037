"""The edge: thin FastAPI routes."""
