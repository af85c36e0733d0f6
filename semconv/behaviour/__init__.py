"""Collaborative models: popularity, item-to-item, and the encoders SASRec, LightGCN and DCCF."""
