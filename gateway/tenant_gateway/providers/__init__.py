"""Model endpoints, and the HTTP to speak with them."""
