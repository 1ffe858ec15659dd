"""A gate that counts calls by their effect and stops at one of them: the hook for killing a caller at an exact moment.

Calls that a gate counts go through it one at a time. After the call that it waits for, it is shut: that call gets no answer,
and every later one waits before it has any effect. So as long as the gate is shut, the account is as it was after exactly
that many effects, whatever the caller had under way.
"""

from __future__ import annotations

import os
import threading


class Gate:
    """Opens for good once it is released, or at once where it only counts."""

    def __init__(self, after: int, holds: bool, before_effect: bool) -> None:
        self._after = after
        self._holds = holds
        self._before_effect = before_effect
        self._counted = 0
        self._shut = False
        self._lock = threading.Lock()
        #: Readable once the gate is open; a file descriptor, since a call waits for its caller to leave as well.
        self._released = os.eventfd(0)
        self._answer = True
        self.is_open = False
        #: Calls that wait.
        self.held = 0
        #: Held by the call that goes through, whose effect decides whether the next one may.
        self.turn = threading.Lock()

    def __del__(self) -> None:
        os.close(self._released)

    @property
    def released(self) -> int:
        return self._released

    @property
    def answers(self) -> bool:
        """Whether what waited is answered after the release, or cut off."""
        return self._answer

    def stops_before(self) -> tuple[bool, bool]:
        """Whether the next call has to wait before its effect, and whether it is the one that is waited for."""
        if self.is_open:
            return False, False
        if self._shut:
            return True, False
        if self._before_effect and self._counted == self._after:
            self._shut = self._holds
            self.is_open = not self._holds
            return self._holds, True
        return False, False

    def stops_after(self, took_effect: bool) -> tuple[bool, bool]:
        """Count a call; whether it has to wait now, and whether it is the one that is waited for."""
        if self.is_open or not took_effect:
            return False, False
        self._counted += 1
        if self._before_effect or self._counted != self._after + 1:
            return False, False
        if self._holds:
            self._shut = True
        else:
            self.release(answer=True)
        return self._holds, True

    def enter(self) -> None:
        with self._lock:
            self.held += 1

    def leave(self) -> None:
        with self._lock:
            self.held -= 1

    def release(self, answer: bool) -> None:
        """Let everything go: what waited is answered, or its connection is reset and it has no effect."""
        with self._lock:
            if self.is_open:
                return
            self._answer = answer
            self.is_open = True
            os.eventfd_write(self._released, 1)
