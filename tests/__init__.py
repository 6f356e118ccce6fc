"""What the tests share: the program in a shell, and in a terminal."""
