"""The OpenClaw gateway protocol v4, sans-I/O: frames, connect, device proof, rejections, hello. Knows nobody."""
