"""Rendered text kept in the process, up to so many bytes."""

import sys
from collections import OrderedDict
from threading import Lock

from django.utils.safestring import SafeString


class Cache:
    """The texts used last, whose sizes sum to at most `limit` bytes; one larger than an eighth of that is not kept.

    Safe to use from many threads.
    """

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[bytes, SafeString] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> SafeString | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: bytes, text: SafeString) -> None:
        size = _size(key, text)
        if size > self.limit // 8:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = text
            self.size += size
            while self.size > self.limit:
                self.size -= _size(*self._kept.popitem(last=False))

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.size = 0


def _size(key: bytes, text: SafeString) -> int:
    """Bytes in memory, with those of the dictionary's entry."""
    return sys.getsizeof(text) + sys.getsizeof(key) + 100
