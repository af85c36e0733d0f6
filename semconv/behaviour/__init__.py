"""Collaborative models: popularity, item-to-item, SASRec."""
