"""What is known without simulation: exact laws and exponents."""
