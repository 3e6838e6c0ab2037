"""What is done to recognised words."""
