"""The people of the demo, and annotators that go through the same pages as people do: log in, claim, submit."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2 as httpx

from evaluation.demo.data import Votes
from labeling.models import Membership, Project, Role, User

PASSWORD = "prefloop-demo"  # noqa: S105 - printed by the demo; these accounts exist nowhere else
ANNOTATORS = ("ben", "bea", "bo")
PEOPLE = {
    "ada": Role.OWNER,
    "emma": Role.ENGINEER,
    "cleo": Role.REVIEWER,
    "leo": Role.LEAD,
    **dict.fromkeys(ANNOTATORS, Role.ANNOTATOR),
}
VOID = {"input", "br", "hr", "img", "meta", "link", "use", "path", "wbr"}


def make_people(project: Project) -> dict[str, User]:
    """The demo's accounts with their roles in the project; made once, found again later."""
    people = {}
    for name, role in PEOPLE.items():
        user, new = User.objects.get_or_create(username=name, defaults={"first_name": name.capitalize()})
        if new:
            user.set_password(PASSWORD)
            user.save(update_fields=["password"])
        Membership.objects.get_or_create(user=user, project=project, defaults={"role": role})
        people[name] = user
    return people


@dataclass
class RankPage(HTMLParser):
    """What an annotator sees of a rank page: the form and the texts."""

    action: str = ""
    values: dict[str, str] = field(default_factory=dict)
    prompt: list[str] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    _stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("id") == "judge":
            self.action = given["action"]
        if tag == "input" and "judge" in self._stack and given.get("type") == "hidden":
            self.values[given["name"]] = given.get("value", "")
        if tag not in VOID:
            classes = given.get("class", "").split()
            kind = next(
                (name for name in ("prompt", "response-body", "text", "none") if name in classes), tag
            )
            self._stack.append(
                given["id"] if given.get("id") == "judge" else "none" if "none" in classes else kind
            )
            if kind == "response-body":
                self.responses.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._stack:
            self._stack.pop()

    def handle_data(self, data: str) -> None:
        if "text" not in self._stack:
            return
        if "response-body" in self._stack:
            self.responses[-1] += data
        elif "prompt" in self._stack:
            self.prompt.append(data)


def annotate(*, site: str, slug: str, name: str, votes: Votes, limit: int | None = None) -> int:
    """Sign in as this person and judge until nothing is left (or `limit` is reached). Returns how many were sent."""
    with httpx.Client(base_url=site, follow_redirects=True, timeout=60) as client:
        _sign_in(client, name)
        page = _read(client.get(f"/p/{slug}/rank/"))
        count = 0
        while page.action and (limit is None or count < limit):
            verdict = votes.verdict(" ".join(page.prompt), *page.responses)
            page = _send(client, page, verdict)
            count += 1
    return count


def _sign_in(client: httpx.Client, name: str) -> None:
    page = client.get("/account/login/")
    token = client.cookies["csrftoken"]
    form = {"login": name, "password": PASSWORD, "csrfmiddlewaretoken": token}
    answer = client.post("/account/login/", data=form, headers={"Referer": str(page.url)})
    answer.raise_for_status()
    if "/account/login" in str(answer.url):
        raise RuntimeError(f"{name} could not sign in")


def _send(client: httpx.Client, page: RankPage, verdict: str) -> RankPage:
    headers = {"HX-Request": "true", "Referer": urljoin(str(client.base_url), page.action)}
    return _read(client.post(page.action, data={**page.values, "verdict": verdict}, headers=headers))


def _read(answer: httpx.Response) -> RankPage:
    answer.raise_for_status()
    page = RankPage()
    page.feed(answer.text)
    return page
