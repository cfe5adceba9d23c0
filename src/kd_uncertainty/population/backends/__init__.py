"""Backends: each a module with ``train_cohort``, the same arguments and the same results."""
