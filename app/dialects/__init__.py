"""Public wire formats: the only place where vendor field names appear."""
