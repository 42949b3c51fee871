"""The shared entrance: accept, handshake, fleet, hold, relay; HTTP; admin. Read connection.py first."""
