"""A Git server over TLS that is on another machine: in a network namespace of its own, behind a veth pair."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.agent_rig import until

USER, PASSWORD = "zoe", "pass 7f3a word"
"""Of `private/reports.git`, which takes pushes."""
_SERVE = """
import base64, functools, http.server, os, ssl, subprocess, sys
address, folder, certificate, key, account = sys.argv[1:]
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.git() if self.path.startswith("/private/") else super().do_GET()
    def do_POST(self):
        self.git()
    def git(self):
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(account.encode()).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.close_connection = True
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        told = dict(GIT_PROJECT_ROOT=folder, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path, QUERY_STRING=query,
            REQUEST_METHOD=self.command, REMOTE_USER="zoe", CONTENT_TYPE=self.headers.get("Content-Type", ""),
            HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
            GIT_PROTOCOL=self.headers.get("Git-Protocol", ""), PATH=os.environ["PATH"], HOME=folder)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = subprocess.run(["git", "http-backend"], input=body, env=told, stdout=subprocess.PIPE).stdout
        head, _, rest = said.partition(b"\\r\\n\\r\\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\\r\\n") if ": " in line]
        status = next((value for name, value in lines if name == "Status"), "200 OK")
        self.send_response(int(status.split(" ")[0]))
        for name, value in lines:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)
handler = functools.partial(Handler, directory=folder)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
for port in (443, 8443):
    server = http.server.ThreadingHTTPServer((address, port), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    import threading
    threading.Thread(target=server.serve_forever).start()
print("ready", flush=True)
"""


@dataclass
class FarAway:
    """`address` is the server's, `near` this machine's end of the wire; `certificate` is its own authority."""

    address: str
    near: str
    certificate: str
    private: Path
    """The bare repository that `https://<address>/private/reports.git` is."""

    def log(self, branch: str = "main") -> list[str]:
        """Subjects of the private repository's commits, newest first."""
        argv = ["git", "log", "--format=%s", branch]
        return subprocess.run(argv, check=True, capture_output=True, text=True, cwd=self.private).stdout.splitlines()


@contextmanager
def git_server(folder: Path) -> Iterator[FarAway]:
    """Serve a repository, `https://<address>/project.git`, at ports 443 and 8443. Needs root."""
    tag = f"g{os.getpid() % 100_000}"
    # Of the block for tests between networks (RFC 2544); another one for each run beside this one.
    third, fourth = os.getpid() // 64 % 256, os.getpid() % 64 * 4
    near, address = f"198.18.{third}.{fourth + 1}", f"198.18.{third}.{fourth + 2}"
    _repository(folder / "served")
    certificate, key = folder / "authority.pem", folder / "key.pem"
    _certificate(address, certificate, key)
    _run("ip", "netns", "add", tag)
    try:
        _run("ip", "link", "add", f"{tag}a", "type", "veth", "peer", "name", f"{tag}b", "netns", tag)
        _run("ip", "addr", "add", f"{near}/30", "dev", f"{tag}a")
        _run("ip", "link", "set", f"{tag}a", "up")
        for words in (("addr", "add", f"{address}/30", "dev", f"{tag}b"), ("link", "set", f"{tag}b", "up")):
            _run("ip", "-n", tag, *words)
        account = f"{USER}:{PASSWORD}"
        argv = [sys.executable, "-c", _SERVE, address, str(folder / "served"), str(certificate), str(key), account]
        with subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{tag}", *argv], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as server:
            said: list[bytes] = []
            assert server.stdout is not None
            threading.Thread(target=lambda: said.append(server.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
            try:
                until(lambda: said, 60)
                assert said == [b"ready\n"]
                yield FarAway(address, near, certificate.read_text(), folder / "served" / "private" / "reports.git")
            finally:
                server.kill()
    finally:
        with suppress(subprocess.CalledProcessError):
            _run("ip", "netns", "del", tag)


def _run(*argv: str, cwd: Path | None = None) -> None:
    subprocess.run(argv, check=True, capture_output=True, cwd=cwd)


def _certificate(address: str, certificate: Path, key: Path) -> None:
    subject = ("-subj", "/CN=far away", "-addext", f"subjectAltName=IP:{address}", "-days", "2")
    _run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        *subject,
    )


def _repository(served: Path) -> None:
    work = served.with_name("work")
    work.mkdir(parents=True)
    served.mkdir()
    (work / "README.md").write_text("from far away\n")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    _run("git", "init", "-q", "-b", "main", cwd=work)
    _run("git", "add", ".", cwd=work)
    _run("git", *who, "commit", "-q", "-m", "first", cwd=work)
    _run("git", "clone", "-q", "--bare", str(work), str(served / "project.git"))
    _run("git", "update-server-info", cwd=served / "project.git")
    _run("git", "clone", "-q", "--bare", str(work), str(served / "private" / "reports.git"))
    _run("git", "config", "http.receivepack", "true", cwd=served / "private" / "reports.git")
