"""A teacher that sends each request to the model of its role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from factory.artifacts.digest import digest
from factory.teacher.protocol import AUTHOR, Reply, Request, Role, Teacher
from factory.teacher.streams import Merge, closing

DEFAULT = AUTHOR


class Router:
    """Sends a request to the teacher of its role, or to the author where the role has none; replies come as they do."""

    def __init__(self, teachers: Mapping[Role, Teacher]) -> None:
        if DEFAULT not in teachers:
            raise ValueError(f"a router needs a teacher for the role '{DEFAULT}'")
        self._teachers = dict(teachers)

    @property
    def model(self) -> str:
        """Return the names of the models, each once."""
        return ", ".join(dict.fromkeys(teacher.model for teacher in self._teachers.values()))

    @property
    def identity(self) -> str:
        """Return the digest of who answers in which role."""
        return digest(roles={role: teacher.identity for role, teacher in self._teachers.items()})

    async def start(self) -> None:
        """Start every teacher, one after the other, so that the first error is always the same."""
        for teacher in self._teachers.values():
            await teacher.start()

    async def close(self) -> None:
        """Close every teacher, whatever the others do; the first error is raised when all are closed."""
        ended = await asyncio.gather(*(t.close() for t in self._teachers.values()), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def complete(self, requests: Mapping[str, Request]) -> AsyncIterator[tuple[str, Reply]]:
        """Yield exactly one (id, reply) for each request, of all roles side by side."""
        by_role: dict[Role, dict[str, Request]] = {}
        for id_, request in requests.items():
            role = request.role if request.role in self._teachers else DEFAULT
            by_role.setdefault(role, {})[id_] = request
        streams = [self._teachers[role].complete(asked) for role, asked in by_role.items()]
        async with closing(streams[0] if len(streams) == 1 else Merge(streams).values()) as replies:
            async for answered in replies:
                yield answered
