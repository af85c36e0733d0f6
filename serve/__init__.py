"""How semconv answers: Ray Serve deployments and an HTTP API over one run's artifacts. No algorithm lives here."""
