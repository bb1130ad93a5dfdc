"""The arithmetic of the parity contract, in NumPy alone: the inputs that are drawn and the allowed differences.

Parity means that an exported file computes the same as torch, within a tolerance. It is judged on many drawn inputs,
in *regimes*: families of inputs such as usual values, extreme values and missing values.
"""
