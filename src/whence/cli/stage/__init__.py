"""The demo's story, the processes that act it out, and who directs them."""
