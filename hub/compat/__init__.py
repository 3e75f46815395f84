"""The compatibility profile: plain channels and a server API, for test suites alone. Holds no
import by rule."""
