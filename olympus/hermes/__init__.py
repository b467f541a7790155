"""Hermes carries and keeps: a key-value store with two adapters, and on it, written once, bus and lease.

`kv` is the only port that differs between one machine (`kv_embedded`) and a cluster (`kv_consul`); whatever
else Hermes does is written over it. `keys` names every key and says who owns it.
"""
