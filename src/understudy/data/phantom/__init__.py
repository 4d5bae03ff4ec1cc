"""The built-in procedural brain: label maps and images of as many made-up subjects as are asked for."""
