"""Tasks: tables that become examples with splits."""
