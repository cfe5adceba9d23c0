"""Kedro hooks: guards before a run, tracking during it, a short table after it."""
