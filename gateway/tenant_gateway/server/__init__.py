"""The socket side: HTTP heads, WebSocket frames, handshakes, authentication."""
