"""How much memory a run really took, to stand beside what `training.sizing` said it would.

On CUDA that is what tensors held at most (`torch.cuda.max_memory_allocated`), without the context and what the
allocator keeps. On the CPU it is how far the process's resident set rose above where it stood at the start.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # Linux, Documentation/filesystems/proc.rst: "To reset the peak resident set size"
EVERY = 0.01  # seconds between two looks where the kernel keeps no peak


def device_bytes(*, cuda: bool) -> int:
    """Return the memory of the GPU in use, or of the machine."""
    if cuda:
        import torch

        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Meter:
    """Measures from `start()` on; start it before the model is loaded and after the libraries are imported."""

    def __init__(self, *, cuda: bool = False) -> None:
        self.cuda = cuda
        self.base = 0
        self._sampler: Sampler | None = None

    def start(self) -> None:
        """Take what is held now as the zero and forget earlier peaks."""
        self.base = 0 if self.cuda else resident("VmRSS")
        self.forget_peak()

    def forget_peak(self) -> None:
        """Forget the peak so far and keep the zero: after loading a model, which can take more than training it."""
        if self.cuda:
            import torch

            torch.cuda.reset_peak_memory_stats()
            return
        if self._sampler is not None:
            self._sampler.peak = resident("VmRSS")
            return
        try:
            CLEAR.write_text(FORGET_PEAK)
        except OSError:  # no such file, or a container that may not write it
            self._sampler = Sampler()
            self._sampler.start()

    def peak_bytes(self) -> int:
        """The most that was held since, in bytes; 0 where nothing was."""
        if self.cuda:
            import torch

            return int(torch.cuda.max_memory_allocated())
        if self._sampler is None:
            return max(0, resident("VmHWM") - self.base)
        self._sampler.look()
        return max(0, self._sampler.peak - self.base)

    def stop(self) -> None:
        """End what `start` began; a meter that the kernel keeps has nothing to end."""
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None


class Sampler(threading.Thread):
    """Looks at the resident set again and again: what is left where the kernel's own peak cannot be reset."""

    def __init__(self) -> None:
        super().__init__(name="memory", daemon=True)
        self.peak = resident("VmRSS")
        self._ended = threading.Event()

    def run(self) -> None:
        """Keep the largest value seen until `stop`."""
        while not self._ended.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Take note of what is held now."""
        self.peak = max(self.peak, resident("VmRSS"))

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()


def resident(field: str) -> int:
    """Return VmRSS (now) or VmHWM (peak) of this process in bytes; 0 on systems that have no /proc."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    found = next((line for line in lines if line.startswith(field + ":")), f"{field}: 0 kB")
    return int(found.split()[1]) * 1024
