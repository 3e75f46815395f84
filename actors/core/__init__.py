"""The camera core: pure values and decisions. No I/O, no clock, no randomness, no Ray. Holds no
import by rule."""
