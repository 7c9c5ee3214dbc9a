"""Define the errors as a small tree: each has a code for machines and a line for people."""


class Creative4UError(Exception):
    """The root; `code` goes into error rows and HTTP answers, `exit_code` to the shell."""

    code = "failed"
    exit_code = 1


class InputError(Creative4UError, ValueError):
    """What the user gave cannot be used; the message says what was got and what is allowed."""

    code = "bad_input"
    exit_code = 2


class ImageError(InputError):
    """Bytes that are no acceptable image."""

    code = "bad_image"


class CompletionError(Creative4UError):
    """The model's completion is no verdict."""

    code = "bad_completion"


class VerdictParseError(CompletionError):
    """A finished completion that does not follow the protocol."""

    code = "unparsable"


class TruncatedError(CompletionError):
    """A generation that ran out of tokens before its answer."""

    code = "truncated"


class ModelRefusalError(CompletionError):
    """The model declined to answer, in its own words."""

    code = "model_refusal"


class ContentFilterError(CompletionError):
    """The server's content filter held the request or the answer back."""

    code = "content_filter"


class BackendError(Creative4UError):
    """The model did not answer: server gone, timeout, out of memory."""

    code = "backend"


class RefusedError(BackendError):
    """The server understood one request and will not take it: too long, an unknown model."""

    code = "refused"


class NoProbabilitiesError(BackendError):
    """The answer came without token probabilities, so there is no confidence to report."""

    code = "no_probabilities"


class DeniedError(BackendError):
    """The server refuses every request alike: no key, no credit, no such model. Ends a run."""

    code = "denied"
    exit_code = 2


class WriteError(Creative4UError):
    """A file could not be written: disk full, no permission; the message says what is safe."""

    code = "write"


class AssetError(Creative4UError):
    """A weight file could not be fetched, or is not the one that was pinned."""

    code = "asset"
