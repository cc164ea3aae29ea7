"""The services of an installed system, which lockdownd starts: one module each, named as Apple's."""
