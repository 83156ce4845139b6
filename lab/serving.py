"""Real servers in this process: uvicorn for ASGI apps, waitress for WSGI apps, each in a thread of its own."""

import asyncio
import atexit
import contextlib
import copy
import importlib
import ipaddress
import logging
import select
import socket
import ssl
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any

import anyio._backends._asyncio  # noqa: F401 or the first `def` endpoint would load it on the event loop, for 50 ms
import uvicorn
import waitress.server  # type: ignore[import-untyped]
import waitress.task  # type: ignore[import-untyped]
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from lab.apps import protocol_of
from lab.errors import LabError
from lab.observing import Observed

STARTING = 10  # seconds that a lifespan may take to start
GRACE = 2  # seconds that requests in flight get to finish when a server stops
STOPPING = 5  # seconds after which `stop` gives up
BACKLOG = 2048  # uvicorn's own

_here = threading.local()  # `log` of the server that this thread belongs to


class ServeError(LabError):
    """A server could not start, or could not stop."""


class Server:
    """A running server. `stop` it, use it in a `with` block, or let go of it: a lost handle stops its server.

    `url` is its address, such as http://127.0.0.1:12345.
    """

    def __init__(self, engine: "_Engine", app: object, url: str, name: str | None) -> None:
        self.url = url
        self._app = app
        self._name = name
        self._engine = engine
        self._running = True
        weakref.finalize(self, engine.ask_to_stop).atexit = False  # _stop_all waits, this does not

    @property
    def log(self) -> list[str]:
        """The last 1,000 records that the server logged, exceptions of handlers included. None is printed."""
        return list(self._engine.log)

    @property
    def observed(self) -> Observed:
        """What `observe` counted. Raises ServeError when the served app is not an observed one."""
        if not isinstance(self._app, Observed):
            raise ServeError("this app is not observed: serve(observe(app))")
        return self._app

    def stop(self) -> None:
        """Stops the server: requests in flight get 2 s, then they are cut. Safe to call again.

        Raises ServeError when the lifespan fails to shut down, or when a handler blocks the event loop for 5 s.
        """
        if not self._running:
            return
        self._running = False
        if _named.get(self._name) is self:
            del _named[self._name]
        self._engine.stop()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(ServeError) if error else contextlib.nullcontext():
            self.stop()

    def __repr__(self) -> str:
        return f"<Server {self._name or ''}{' ' if self._name else ''}{'running' if self._running else 'stopped'}>"


_named: dict[str | None, Server] = {}


def serve(
    app: Callable[..., Any] | str,
    *,
    name: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    threads: int | None = None,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Serves an ASGI app on uvicorn, or a WSGI app on waitress with `threads` threads (4), from this process.

    `app` may be an import string, "module:attribute". Port 0 is any free port. Serving again under a name, or on
    an explicit port, stops the previous server of that name or port first, so that a cell can be run again.
    `tls` serves an ASGI app over https, with the certificate of that context.

    Raises ServeError, one line: not an app, a failing import, a lifespan that raises or does not start within 10 s,
    a port that is taken or out of range, a host that is not this machine's loopback.
    """
    if isinstance(app, str):
        app = _imported(app)
    try:
        protocol = protocol_of(app)
    except LabError as error:
        raise ServeError(str(error)) from None
    if protocol == "asgi" and threads is not None:
        raise ServeError("threads= is for WSGI apps: an ASGI app runs on one event loop")
    if protocol == "wsgi" and tls is not None:
        raise ServeError("tls= is for ASGI apps: waitress speaks no TLS")
    if threads is not None and threads < 1:
        raise ServeError(f"threads={threads}: a WSGI server needs at least one thread")
    address = _loopback(host)
    if not 0 <= port <= 65535:
        raise ServeError(f"port {port} is out of range: 1 to 65535, or 0 for any free port")
    name = name or (f"port {port}" if port else None)
    if name in _named:
        with contextlib.suppress(ServeError):  # told by stop(), and no reason not to go on
            _named[name].stop()
    listener = _listen(address, port)
    engine = _Uvicorn(app, listener, tls) if protocol == "asgi" else _Waitress(app, listener, threads or 4)
    port = listener.getsockname()[1]
    engine.start()
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    server = Server(engine, app, f"{'https' if tls else 'http'}://{place}", name)
    if name:
        _named[name] = server
    return server


def _imported(target: str) -> Any:
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
        raise ServeError(f'"{target}" is not an import string: write "module:attribute"')
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ServeError(f'"{target}" cannot be imported: {_line(error)}') from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ServeError(f'"{target}" cannot be imported: {module} has no attribute "{attribute}"')
        found = getattr(found, part)
    return found


def _loopback(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ServeError(f'host "{host}" is not this machine alone: use 127.0.0.1, ::1 or localhost')


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        if sys.platform == "win32":  # there SO_REUSEADDR would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise ServeError(f"port {port} is not yours to use: take one above 1023, or leave out port=") from None
        if not port:
            raise ServeError(f"{address} cannot be listened on: {error.strerror}") from None
        raise ServeError(
            f"port {port} is taken: stop the program that uses it, or leave out port= for any free port"
        ) from None
    return listener


def _line(error: BaseException) -> str:
    """The exception's name and the first line of its message."""
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class _Engine:
    """A server in a daemon thread. It does not know its handle, so that a lost handle can be collected."""

    def __init__(self, listener: socket.socket) -> None:
        self.log: deque[str] = deque(maxlen=1000)
        self._listener = listener
        self._problem: str | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="lab server", daemon=True)

    def start(self) -> None:
        _engines.add(self)
        self._thread.start()
        try:
            self._started.result(STARTING + 1)
        except TimeoutError:
            self.ask_to_stop()
            raise ServeError(f"the app did not start within {STARTING} s: its lifespan blocks the event loop") from None
        except ServeError as error:
            self._thread.join()
            raise error from None
        except BaseException:  # an interrupt of the kernel
            self.ask_to_stop()
            raise

    def ask_to_stop(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.ask_to_stop()
        self._thread.join(STOPPING)
        if self._thread.is_alive():
            raise ServeError(
                f"the server did not stop within {STOPPING} s: a handler blocks its event loop. "
                "Its thread stays until that handler returns, or the kernel restarts"
            )
        if self._problem:
            raise ServeError(self._problem)

    def _run(self) -> None:
        _here.log = self.log
        try:
            self._serve()
        except BaseException as error:  # a SystemExit, too, must reach the cell
            problem = error if isinstance(error, ServeError) else ServeError(f"the server failed: {_line(error)}")
            if self._started.done():
                self._problem = str(problem)
            else:
                self._started.set_exception(problem)
        finally:
            self._listener.close()
            _engines.discard(self)

    def _serve(self) -> None:
        """Runs the server, in its thread: marks `_started`, and returns when it was asked to stop."""
        raise NotImplementedError


_engines: set[_Engine] = set()


@atexit.register
def _stop_all() -> None:
    engines = list(_engines)
    for engine in engines:
        engine.ask_to_stop()
    for engine in engines:
        with contextlib.suppress(ServeError):
            engine.stop()


class _Uvicorn(_Engine):
    """uvicorn.Server, with its startup and shutdown called from our own coroutine.

    `Server.serve` would look only every 100 ms whether it has to stop, and would take the process's signals.
    """

    def __init__(self, app: Any, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(listener)
        # Not the app itself: `load` calls what it gets, without arguments, to find out whether it is a factory.
        config = uvicorn.Config(
            _stand_in, interface="asgi3", proxy_headers=False, log_config=None, timeout_graceful_shutdown=GRACE
        )
        config.load()
        config.ssl = tls
        config.loaded_app = ProxyHeadersMiddleware(app, trusted_hosts=config.forwarded_allow_ips)
        http_protocol: Callable[..., Any] = config.http_protocol_class

        def without_access_log(**arguments: Any) -> Any:  # Config(access_log=False) would silence every uvicorn here
            protocol = http_protocol(**arguments)
            protocol.access_log = False
            return protocol

        config.http_protocol_class = without_access_log  # type: ignore[assignment]
        self._app = app
        self._config = config
        self._lifespan_error: BaseException | None = None
        self._stopping = asyncio.Event()
        self._loop = (config.get_loop_factory() or asyncio.new_event_loop)()
        self._loop.set_exception_handler(self._on_loop_exception)

    def ask_to_stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _main(self) -> None:
        server = uvicorn.Server(self._config)
        lifespan_config = copy.copy(self._config)
        lifespan_config.loaded_app = self._lifespan
        server.lifespan = self._config.lifespan_class(lifespan_config)
        try:
            await server.on_tick(0)  # the first answer needs its Date and Server headers
            await self._start_up(server)
            ticking = asyncio.create_task(self._tick(server))
            self._started.set_result(None)
            await self._stopping.wait()
            ticking.cancel()
            await self._shut_down(server)
        finally:
            await self._clear(server)

    async def _start_up(self, server: uvicorn.Server) -> None:
        try:
            async with asyncio.timeout(STARTING):
                await server.startup(sockets=[self._listener])
        except TimeoutError:
            raise ServeError(f"the app's lifespan did not start within {STARTING} s") from None
        except SystemExit:
            raise ServeError(f"the app's lifespan failed to start: {self._lifespan_failure()}") from None

    async def _shut_down(self, server: uvicorn.Server) -> None:
        try:
            async with asyncio.timeout(GRACE + 1.5):
                await server.shutdown(sockets=[self._listener])
        except TimeoutError:
            self._problem = "the app's lifespan did not shut down in time, and was cut"
        if server.lifespan.should_exit:
            self._problem = f"the app's lifespan failed to shut down: {self._lifespan_failure()}"

    def _lifespan_failure(self) -> str:
        if self._lifespan_error:
            return _line(self._lifespan_error)
        return self.log[-2].strip() if len(self.log) > 1 else "it gave no reason"  # the last is uvicorn's own

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except BaseException as error:
            self._lifespan_error = error
            raise

    async def _tick(self, server: uvicorn.Server) -> None:
        while True:
            await asyncio.sleep(1)
            await server.on_tick(0)

    async def _clear(self, server: uvicorn.Server) -> None:
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)
        await asyncio.sleep(0)  # transports are lost one turn after they are closed

    def _on_loop_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # In any thread: a forgotten task reports when it is collected.
        before = getattr(_here, "log", None)
        _here.log = self.log
        try:
            loop.default_exception_handler(context)
        finally:
            _here.log = before


async def _stand_in(scope: object, receive: object, send: object) -> None:
    """What uvicorn's Config loads in place of the app."""


class _Waitress(_Engine):
    """waitress, with its loop turned by our own thread, so that it can be left at once."""

    def __init__(self, app: Any, listener: socket.socket, threads: int) -> None:
        super().__init__(listener)
        self._threads = threads
        self._dispatcher = _Dispatcher(self.log)
        self._map: dict[int, Any] = {}
        self._poll = hasattr(select, "poll")
        self._server = waitress.server.create_server(
            app,
            map=self._map,
            _dispatcher=self._dispatcher,
            sockets=[listener],
            backlog=BACKLOG,
            # The default of 100 would measure waitress's door, not the app. select() itself ends at 512 on Windows.
            connection_limit=2000 if self._poll else 500,
        )
        self._stopping = False
        self._trigger_lock = (
            threading.Lock()
        )  # a closed trigger must not be pulled: its descriptor is another's by then
        self._trigger_closed = False

    def ask_to_stop(self) -> None:
        with self._trigger_lock:
            self._stopping = True
            if not self._trigger_closed:
                self._server.pull_trigger()

    def _serve(self) -> None:
        self._dispatcher.set_thread_count(self._threads)
        self._started.set_result(None)
        while not self._stopping:
            self._turn(30)
        try:
            self._server.asyncore.dispatcher.close(self._server)  # no new connections; the trigger still works
            deadline = time.monotonic() + GRACE
            while self._busy() and time.monotonic() < deadline:
                self._turn(0.05)
            for channel in list(self._server.active_channels.values()):
                channel.handle_close()
            self._dispatcher.shutdown(timeout=1)
        finally:
            with self._trigger_lock:
                self._trigger_closed = True
                self._server.trigger.close()

    def _turn(self, seconds: float) -> None:
        self._server.asyncore.loop(timeout=seconds, map=self._map, use_poll=self._poll, count=1)

    def _busy(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self._server.active_channels.values())


class _Dispatcher(waitress.task.ThreadedTaskDispatcher):  # type: ignore[misc]
    def __init__(self, log: deque[str]) -> None:
        super().__init__()
        self._log = log

    def handler_thread(self, thread_no: int) -> None:
        _here.log = self._log
        super().handler_thread(thread_no)


class _Collector(logging.Filter):
    """Takes the records that a server's own threads log, and leaves every other as it is."""

    _format = logging.Formatter().format

    def filter(self, record: logging.LogRecord) -> bool:
        log = getattr(_here, "log", None)
        if log is None:
            return True
        log.append(self._format(record))
        return False


for _logger in ("uvicorn.error", "asyncio", "waitress", "waitress.queue"):
    logging.getLogger(_logger).addFilter(_Collector())
