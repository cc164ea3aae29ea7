"""Apple's signing server (TSS): what it checks in a request, and the tickets it signs."""
