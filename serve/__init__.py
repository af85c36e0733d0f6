"""How semconv answers: Ray Serve deployments and the HTTP API. No algorithm lives here."""
