"""Where the uncertainty goes in knowledge distillation."""

__version__ = "0.1.0"
