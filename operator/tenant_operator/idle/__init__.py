"""Who sleeps and who wakes by the clock: activity of all routers, the conversation before a sleep, timers."""
