"""Forms with files, for the dialects that send their options beside the recording, in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.api.body import BodyLimits, parse_form
from app.domain.errors import InvalidPayload, Overloaded


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form: seekable, at its start. ``name`` is the field's, ``filename`` what the client calls the file."""

    name: str
    filename: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class ReceivedForm:
    """Text fields and files in the order in which they came. Names may repeat."""

    fields: tuple[tuple[str, str], ...]
    uploads: tuple[Upload, ...]

    def upload(self, *names: str) -> Upload | None:
        """The first file whose field has one of these names."""
        return next((upload for upload in self.uploads if upload.name in names), None)


class FormPlaces:
    """How many forms may be on their way or held at a time.

    Their options are inside, so a permit of a model can be asked for only when all of it has come; without a limit of their
    own any number of clients could fill the disk first.
    """

    def __init__(self, count: int) -> None:
        self._free = count

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One place. Raises ``Overloaded`` if there is none."""
        if self._free <= 0:
            raise Overloaded
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


@asynccontextmanager
async def receive_form(request: Request, limits: BodyLimits) -> AsyncIterator[ReceivedForm]:
    """Read the whole form, large files to the disk; the files are gone when the context closes.

    Raises ``InvalidPayload`` for what is no multipart form, ``Overloaded`` where too many are here already, and whatever the
    limits say.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "multipart/form-data":
        raise InvalidPayload("The body must be a form with a file: multipart/form-data.")
    with cast("FormPlaces", request.app.state.form_places).taken():
        form = await parse_form(request, limits)
        try:
            fields = tuple((name, value) for name, value in form.multi_items() if isinstance(value, str))
            uploads = tuple(
                Upload(name, value.filename or "", value.file)
                for name, value in form.multi_items()
                if isinstance(value, UploadFile)
            )
            yield ReceivedForm(fields, uploads)
        finally:
            await form.close()
