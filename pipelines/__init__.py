"""How semconv is spread over a cluster: one module a stage, on Ray Data and Ray Train. No algorithm lives here."""
