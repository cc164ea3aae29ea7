"""Who a phone is, what is on it, and in whose hands it is."""
