"""Live streaming without socket, event loop, clock or engine: audio and messages in, events and decode jobs out."""
