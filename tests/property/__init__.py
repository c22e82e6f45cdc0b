"""Whatever the bytes, a call returns or raises one of our errors, in bounded time and memory."""
