"""Defaults of an experiment, shared by the settings, the API, the pages and the command line."""

WINDOW_HOURS = 168  # attribution window
PLANNED_UNITS = 100_000
