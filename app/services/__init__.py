"""Use cases: async orchestration of domain and ports."""
