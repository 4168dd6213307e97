"""What is to be done: points, blocks of trials, designs and their files."""
