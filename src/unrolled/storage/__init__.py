"""Bytes on disk: files written whole or not at all, JSON and tensors read with suspicion."""
