"""What can go wrong with a phone, as data: kinds, numbers that people see, hostile messages and strings."""
