"""Experiments of the uncertainty-propagation paper on regression tasks: one module a section (arXiv 2601.18909)."""
