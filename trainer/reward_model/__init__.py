"""Predicted CTCVR: shared bottom and two heads over frozen sentence embeddings, calibrated, as an ensemble (RELATE
§3.3.3).
"""
