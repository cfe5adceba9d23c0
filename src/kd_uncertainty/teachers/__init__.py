"""Teachers: one file a kind, all with the same names; see ``contract``."""
