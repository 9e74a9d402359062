"""The running registry against its own description, by schemathesis."""
