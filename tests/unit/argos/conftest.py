"""What is told to Hermes is told to the embedded one, and to a real Consul."""

from tests.unit.hermes.conftest import kv

__all__ = ["kv"]
