"""The connection to the API server or the kubelet: TLS, tokens and kubeconfig are the official client's, requests raw.

Only ``Configuration`` and ``ApiClient``: typed models raise on pods that the API server takes and cost 22 MiB, and
``Watch`` hides a 410 (kubernetes 37.0.2). Nothing of ``kubernetes`` is imported before a connection is asked for.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pinfold import __version__
from pinfold.errors import PinfoldError
from pinfold.sources.official import import_client

if TYPE_CHECKING:
    from kubernetes.client.configuration import Configuration
    from urllib3 import BaseHTTPResponse

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECT_TIMEOUT_S: Final = 5.0
_CHUNK_BYTES: Final = 1 << 16
_MERGE_PATCH: Final = "application/merge-patch+json"


class ApiServerError(PinfoldError):
    """The API server cannot be asked, or its answer broke off."""


class ReadTimeoutError(ApiServerError):
    """Nothing came for the read time-out."""


class Answer:
    """An answer whose body is still on its way. Bodies and lines that are too long raise ApiServerError."""

    def __init__(self, response: "BaseHTTPResponse") -> None:
        self._response = response
        self.status: int = response.status

    @property
    def retry_after_s(self) -> float:
        """The Retry-After header; 0 without one, or where it is no number of seconds."""
        text = self._response.headers.get("Retry-After", "")
        return float(text) if text.isdecimal() and len(text) < 7 else 0.0

    def body(self, limit_bytes: int) -> bytes:
        held = self._response.read(limit_bytes + 1)
        if len(held) > limit_bytes:
            raise ApiServerError(f"an answer longer than {limit_bytes} bytes")
        return held

    def pieces(self, limit_bytes: int) -> Iterator[bytes]:
        """The body as it comes."""
        while piece := self._response.read1(_CHUNK_BYTES):
            limit_bytes -= len(piece)
            if limit_bytes < 0:
                raise ApiServerError("the answer does not end")
            yield piece

    def lines(self, limit_bytes: int) -> Iterator[bytes]:
        """Each line as soon as it is there; a half line at the end raises ApiServerError."""
        held = bytearray()
        while chunk := self._response.read1(_CHUNK_BYTES):
            held += chunk
            if b"\n" in chunk:  # a line of some MiB is not searched again with each chunk
                *lines, rest = bytes(held).split(b"\n")
                held = bytearray(rest)
                yield from filter(bytes.strip, lines)
            if len(held) > limit_bytes:
                raise ApiServerError(f"a line longer than {limit_bytes} bytes")
        if held.strip():
            raise ApiServerError("the stream ended in the middle of a line")

    def shut(self) -> None:
        """End a read that another thread sits in."""
        # It has ended by itself, or is being closed by its own thread at this moment (urllib3 2).
        with suppress(OSError, RuntimeError, ValueError, TypeError):
            self._response.shutdown()


class ApiServer:
    """Asks one API server, or one kubelet, from any thread."""

    def __init__(self, configuration: "Configuration") -> None:
        from kubernetes.client.api_client import ApiClient

        configuration.keep_alive = True
        configuration.retries = False  # urllib3 would sleep through a Retry-After itself, and hide it
        self._client = ApiClient(configuration)
        self._client.user_agent = f"pinfold/{__version__}"

    @classmethod
    def in_cluster(cls, account: Path = SERVICE_ACCOUNT, environment: Mapping[str, str] = os.environ) -> Self:
        """With the service account of the pod that we run in. Raises ApiServerError."""
        return cls(_of_account(account, environment))

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """With the current context of a kubeconfig. Raises ApiServerError."""
        return cls(_of_kubeconfig(path))

    @classmethod
    def at_kubelet(
        cls, address: str, trust: Path, name: str = "", kubeconfig: Path | None = None, account: Path = SERVICE_ACCOUNT
    ) -> Self:
        """The kubelet at *address*, asked as the API server is: by *kubeconfig*, else as the service account.

        *trust*: a PEM file of the authorities that may have signed its certificate, or of that certificate itself;
        *name*: what must stand in it; empty: anything, for a certificate that is trusted itself. Raises ApiServerError.
        """
        inside = {"KUBERNETES_SERVICE_HOST": "kubelet", "KUBERNETES_SERVICE_PORT": "443"}
        configuration: Any = _of_kubeconfig(kubeconfig) if kubeconfig else _of_account(account, inside)
        if not trust.is_file():
            raise ApiServerError(f"who is the kubelet? There is no {trust}: name a PEM file in sources.kubelet.caFile.")
        fresh_token = configuration.refresh_api_key_hook

        def lead(there: Any) -> None:  # noqa: ANN401 its hook is typed as None
            if fresh_token:
                fresh_token(there)  # which leads back to the API server, and takes this hook away
            there.refresh_api_key_hook = lead
            there.host, there.proxy = f"https://{address}", None
            there.verify_ssl, there.ssl_ca_cert, there.ca_cert_data = True, str(trust), None
            there.tls_server_name, there.assert_hostname = name or None, None if name else False

        lead(configuration)
        return cls(configuration)

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
        read_timeout_s: float = 30.0,
    ) -> Iterator[Answer]:
        """Ask, and hold the answer for the length of the block. Every failure of the network is an ApiServerError."""
        from kubernetes.client.exceptions import ApiException
        from kubernetes.config.config_exception import ConfigException
        from urllib3 import exceptions

        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _MERGE_PATCH if method == "PATCH" else "application/json"
        response: BaseHTTPResponse | None = None
        try:
            request = self._client.param_serialize(
                method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            timeout = (CONNECT_TIMEOUT_S, read_timeout_s)
            response = self._client.call_api(*request, _request_timeout=timeout).response
            yield Answer(response)
        except exceptions.ReadTimeoutError as error:
            raise ReadTimeoutError(f"nothing came for {read_timeout_s:g} s") from error
        except (exceptions.HTTPError, ApiException, ConfigException, OSError) as error:
            raise ApiServerError(_cause(error)) from error
        finally:
            if response is not None:
                response.close()

    def send(self, method: str, path: str, body: Mapping[str, object]) -> int:
        """Ask with a body; the status of the answer. Raises ApiServerError."""
        with self.ask(method, path, body=body) as answer:
            answer.body(1 << 20)
            return answer.status

    def create(self, path: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        """The object as it was created. Raises ApiServerError, also where it was not."""
        with self.ask("POST", path, body=body) as answer:
            text = answer.body(1 << 20)
        if answer.status not in {200, 201}:
            raise ApiServerError(f"it answered {answer.status} to a POST of {path}")
        try:
            created = json.loads(text)
        except ValueError as error:
            raise ApiServerError(f"its answer to a POST of {path} is no JSON") from error
        return created if isinstance(created, dict) else {}

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]


def _of_account(account: Path, environment: Mapping[str, str]) -> "Configuration":
    import_client()
    from kubernetes.client.configuration import Configuration
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    configuration = Configuration()
    try:
        InClusterConfigLoader(  # type: ignore[no-untyped-call]
            token_filename=str(account / "token"), cert_filename=str(account / "ca.crt"), environ=environment
        ).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ApiServerError(f"no service account to ask the API server with: {error}") from error
    return configuration


def _of_kubeconfig(path: Path) -> "Configuration":
    import yaml

    import_client(oauth=_names_provider(path))
    from kubernetes.client.configuration import Configuration
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import load_kube_config

    configuration = Configuration()
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(path), client_configuration=configuration, persist_config=False
        )
        if token_file := _token_file(path):
            _read_anew(configuration, token_file)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise ApiServerError(f"{path} is no kubeconfig to ask the API server with: {error}") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:  # the loader takes the shape for granted
        raise ApiServerError(f"{path} is no kubeconfig: {error!r}") from error
    return configuration


def _token_file(path: Path) -> Path | None:
    """Where the user of the current context of a sound kubeconfig has his token, if that is in a file."""
    from kubernetes.config.kube_config import KubeConfigMerger

    config: Any = KubeConfigMerger(str(path)).config  # type: ignore[no-untyped-call]
    context = config["contexts"].get_with_name(config["current-context"])["context"]
    named = config["users"].get_with_name(context.safe_get("user"), safe=True)
    if named is None or "tokenFile" not in named["user"] or "auth-provider" in named["user"]:
        return None
    return Path(named.path).parent / str(named["user"]["tokenFile"])


def _read_anew(configuration: Any, token_file: Path) -> None:  # noqa: ANN401 its hook is typed as None
    """Have *token_file* read for each request: whoever rotates the token writes it, and the client reads it once.

    While it cannot be read the last token is used, as by client-go.
    """

    def read(there: Any) -> None:  # noqa: ANN401
        with suppress(OSError, UnicodeError):
            if token := token_file.read_text().strip():
                there.api_key["BearerToken"] = f"Bearer {token}"

    configuration.refresh_api_key_hook = read


def _names_provider(path: Path) -> bool:
    """Whether somebody in a kubeconfig gets his token by OAuth; true too where the file cannot be read by itself."""
    try:
        return b"auth-provider" in path.read_bytes()
    except OSError:
        return True


def _cause(error: Exception) -> str:
    """urllib3 puts its own object into the text, and the address in memory with it."""
    return str(error).partition(": ")[2] if "object at 0x" in str(error) else str(error)
