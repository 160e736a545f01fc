"""What people and machines read of a node: one snapshot, and its forms as JSON, metrics and HTTP answers."""
