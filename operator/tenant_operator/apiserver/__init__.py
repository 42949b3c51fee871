"""The API server as the operator needs it: a small client over aiohttp, typed resources, errors."""
