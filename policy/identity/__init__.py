"""Who somebody is: tokens, keys, certificates, signatures. Holds no import by rule."""
