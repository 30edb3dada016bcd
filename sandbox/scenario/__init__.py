"""The demo's story: a simulated shop, its support application, its customers and what they complained about."""
