"""Chores around the code: install, lock, documentation."""
