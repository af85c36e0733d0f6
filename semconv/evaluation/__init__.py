"""Metrics, intervals, plots, report."""
