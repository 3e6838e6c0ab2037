"""What holds for every test."""

from hypothesis import settings

# The same examples on every run, and no time limit on one: machines are noisy, and a test that fails must fail again.
settings.register_profile("steady", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("steady")
