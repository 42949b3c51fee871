"""Moves bytes between two sockets without looking into them, but for the heads of frames."""
