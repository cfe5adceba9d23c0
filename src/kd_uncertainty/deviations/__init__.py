"""How distilled students deviate from their teachers, and why it helps (Nagarajan et al., 2301.12923)."""
