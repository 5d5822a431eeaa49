"""What goes on in a browser beside what a test looks at: errors, refused scripts, other hosts."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Request,
    Response,
    WebError,
)

# A page that answers 404 or 422 is what a test asks for; a file of a page that does is not.
_FAILED_TO_LOAD = "Failed to load resource"
_NOTE_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
  `CSP: ${event.effectiveDirective} refused ${event.blockedURI} ${event.sourceFile || ""}`));
"""
_OWN_SCHEMES = ("data", "blob", "about")


@dataclass
class Watch:
    """Collects what must not happen in the pages of a browser that shows one service."""

    host: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def follow(self, context: BrowserContext) -> None:
        """Look at every page of a context from now on."""
        await context.add_init_script(_NOTE_VIOLATIONS)
        context.on("console", self._note_message)
        context.on("dialog", self._note_dialog)
        context.on("weberror", self._note_error)
        context.on("request", self._note_request)
        context.on("response", self._note_response)
        context.on("requestfailed", self._note_failure)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_FAILED_TO_LOAD):
            self.problems.append(f"{message.type}: {message.text} ({_page(message)})")

    async def _note_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _note_error(self, error: WebError) -> None:
        page = error.page.url if error.page else ""
        self.problems.append(f"uncaught: {error.error} ({page})")

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self.requests.append(request.url)
        if parts.scheme not in _OWN_SCHEMES and parts.netloc != self.host:
            self.problems.append(f"asked another host: {request.url}")

    def _note_response(self, response: Response) -> None:
        kind = response.request.resource_type
        is_wrong = response.status >= 500 or (response.status >= 400 and kind in _PARTS)
        if is_wrong:
            self.problems.append(f"{response.status} for {kind} {response.url}")

    def _note_failure(self, request: Request) -> None:
        # A page that is left drops what it still asks for.
        if request.failure and "ERR_ABORTED" not in request.failure:
            self.problems.append(f"{request.failure} for {request.url}")


_PARTS = {"stylesheet", "script", "image", "font", "media", "manifest"}


def _page(message: ConsoleMessage) -> str:
    return message.page.url if message.page else ""
