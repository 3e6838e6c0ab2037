"""Who speaks: adapters of ``ports.Diarizer``."""
