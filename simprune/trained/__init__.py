"""Networks that someone has trained, read from files."""
