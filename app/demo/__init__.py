"""The demonstration: made-up people use a running platform through its public API, so that a new analyst reads a report
with some days in it after a few minutes. Nothing here is part of a production deployment.
"""
