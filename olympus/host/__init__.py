"""What Olympus does on this machine: processes that outlive it, users, control groups, and HTTP to elsewhere."""
