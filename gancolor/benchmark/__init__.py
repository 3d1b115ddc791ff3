"""Evaluation by a named protocol: which photographs, which numbers, and beside which published rows they may stand."""
