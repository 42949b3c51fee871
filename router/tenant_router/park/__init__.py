"""Keeps clients connected while their gateway sleeps: per connection relaying → parking → parked → waking → relaying."""
