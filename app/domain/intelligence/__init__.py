"""What a language model may say about a transcript: what is asked of it, and what of its answers is believed."""
