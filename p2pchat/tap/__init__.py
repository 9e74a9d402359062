"""What `twistd` runs: the options of both commands, and the services they make."""
