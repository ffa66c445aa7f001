"""What teachers that are put around another one have in common: all that they do not change is the inner one's."""

from __future__ import annotations

from factory.teacher.protocol import Teacher


class Around:
    """A teacher's name, identity, start and end, passed on; a wrapper adds its `complete`."""

    def __init__(self, inner: Teacher) -> None:
        self._inner = inner

    @property
    def model(self) -> str:
        """Return the name of the inner teacher's model."""
        return self._inner.model

    @property
    def identity(self) -> str:
        """Return the identity of the inner teacher."""
        return self._inner.identity

    async def start(self) -> None:
        """Start the inner teacher."""
        await self._inner.start()

    async def close(self) -> None:
        """Close the inner teacher."""
        await self._inner.close()
