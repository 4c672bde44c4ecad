"""Blind studies of what people prefer: designed for power, looked at without raising the error rate."""
