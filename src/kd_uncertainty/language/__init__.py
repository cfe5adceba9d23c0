"""Uncertainty through sequence distillation: answers of a language model, and of students that learn from them."""
