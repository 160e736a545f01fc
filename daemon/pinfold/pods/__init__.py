"""What is asked for: pods as values, read from raw Kubernetes JSON. Pure."""
