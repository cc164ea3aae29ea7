"""Values and messages that every process shares. No I/O."""
