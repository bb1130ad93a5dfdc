"""The arithmetic of the parity contract, in NumPy alone: the inputs that are drawn, the differences allowed."""
