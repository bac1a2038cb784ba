"""What the server answers.

==============================  ====================================================================================
``GET /``                       the page
``GET /about``                  which model it is, and what it takes, as JSON
``POST /segment``               an image file as the body: size, time and classes of the result, as JSON
``GET /results/NAME/...``       ``picture.png`` as the model saw it; ``labels.png`` and ``overlay.png?opacity=0.5`` as
                                ``predict`` writes them; ``labels.bin``, the indices alone, row by row, each in one byte
                                or, where there are more than 255 classes, in two, the lower one first
==============================  ====================================================================================

What cannot be done is answered as JSON with ``error``, a sentence for the user.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ...errors import InputError
from ..inference.segmenter import Segmenter
from ..memory import is_out_of_memory
from ..messages import first_line
from .guard import Guard
from .pictures import read_picture, shrink
from .results import Result, Results, png
from .turns import BusyError, Turns

_PAGE = Path(__file__).parent / 'page'
_RESULTS_KEPT = 16


@dataclass(frozen=True)
class About:
    """What the page says of the model.

    Attributes:
        package: import name of the package that it is from.
        model: name of its config.
        checkpoint: name of the file with its weights.
        device: where it runs.
        classes: how many it tells apart.
        longest_side: in pixels; larger pictures are made smaller first.
        most_bytes: of an image file.
    """

    package: str
    model: str
    checkpoint: str
    device: str
    classes: int
    longest_side: int
    most_bytes: int


def build_app(
    segmenter: Segmenter, about: About, turns: Turns[NDArray[Any]], hosts: Collection[str] | None
) -> Starlette:
    """Build the application.

    Args:
        segmenter: the model.
        about: what is said of it, and its limits.
        turns: where the model's work is handed over; somebody has to do it.
        hosts: names that the server goes by, or None for any.
    """
    results = Results(_RESULTS_KEPT)
    # a file of a few kilobytes can become a picture of 360 MB, and many may come at once
    unpacking = asyncio.Semaphore(2)

    async def tell_about(request: Request) -> Response:
        return JSONResponse(dataclasses.asdict(about))

    async def segment(request: Request) -> Response:
        started = time.monotonic()
        content = await _read_body(request, about.most_bytes)
        async with unpacking:
            try:
                picture = await run_in_threadpool(read_picture, content)
            except InputError as error:
                raise HTTPException(422, str(error)) from error
            full_height, full_width = picture.shape[:2]
            picture = await run_in_threadpool(shrink, picture, about.longest_side)
        labels = await _labels_of(request, turns, lambda: segmenter([picture])[0].labels)
        result = Result(picture, labels, segmenter.classes)
        return JSONResponse(
            {
                'name': results.add(result),
                'width': picture.shape[1],
                'height': picture.shape[0],
                'full_width': full_width,
                'full_height': full_height,
                'bytes_per_label': labels.itemsize,
                'seconds': time.monotonic() - started,
                'areas': [dataclasses.asdict(area) for area in result.areas()],
            }
        )

    async def show(request: Request, content_of: Callable[[Result], bytes], media_type: str) -> Response:
        result = results.find(request.path_params['name'])
        if result is None:
            raise HTTPException(404, 'This result is no longer kept. Drop the picture on the page again.')
        return Response(await run_in_threadpool(content_of, result), media_type=media_type)

    async def show_picture(request: Request) -> Response:
        return await show(request, lambda result: png(result.picture), 'image/png')

    async def show_labels(request: Request) -> Response:
        return await show(request, lambda result: png(result.labels), 'image/png')

    async def show_indices(request: Request) -> Response:
        return await show(request, _indices, 'application/octet-stream')

    async def show_overlay(request: Request) -> Response:
        opacity = _read_opacity(request)
        return await show(request, lambda result: png(result.overlay(opacity)), 'image/png')

    return Starlette(
        routes=[
            Route('/about', tell_about),
            Route('/segment', segment, methods=['POST']),
            Route('/results/{name}/picture.png', show_picture),
            Route('/results/{name}/labels.png', show_labels),
            Route('/results/{name}/labels.bin', show_indices),
            Route('/results/{name}/overlay.png', show_overlay),
            Mount('/', StaticFiles(directory=_PAGE, html=True)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HTTPException: _tell},
    )


async def _tell(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({'error': error.detail}, status_code=error.status_code)


async def _read_body(request: Request, most_bytes: int) -> bytes:
    """Read a request's body, but keep none that is too large."""
    content = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most_bytes:
            content += chunk
        else:
            content.clear()  # the rest is read too, because who is still sending does not read an answer
    if size > most_bytes:
        raise HTTPException(413, f'The file is larger than {most_bytes // 2**20} MB.')
    return bytes(content)


async def _labels_of(request: Request, turns: Turns[NDArray[Any]], job: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Wait for a label map, for as long as the browser waits too."""
    work = asyncio.ensure_future(turns.take(job))
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise HTTPException(499, 'The browser went away.')
        return work.result()
    except BusyError as error:
        raise HTTPException(503, 'Too many pictures are waiting already. Try again in a minute.') from error
    except HTTPException:
        raise
    except Exception as error:
        # the next picture may fare better
        traceback.print_exc(file=sys.stderr)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if is_out_of_memory(error):
            raise HTTPException(
                507, 'The memory was not enough for this picture. Use a smaller one, or serve with --longest-side 1024.'
            ) from error
        raise HTTPException(
            500, f'The model failed on this picture: {type(error).__name__}: {first_line(error)}'
        ) from error
    finally:
        work.cancel()
        gone.cancel()


async def _until_gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.5)


def _read_opacity(request: Request) -> float:
    text = request.query_params.get('opacity', '0.5')
    try:
        opacity = float(text)
    except ValueError:
        opacity = -1
    if not 0 <= opacity <= 1:
        raise HTTPException(422, f'opacity is {text!r}; it goes from 0 (the picture alone) to 1 (the colours alone).')
    return opacity


def _indices(result: Result) -> bytes:
    labels = result.labels
    return np.ascontiguousarray(labels, labels.dtype.newbyteorder('<')).tobytes()
