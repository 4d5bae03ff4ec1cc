"""What is computed from readers' answers: NumPy and SciPy alone; nothing here reads a study."""
