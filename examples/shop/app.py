"""The shop: its pages, and for each what it asks of the person who opens it."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import falcon
import falcon.asgi
import jinja2
from examples.shop.catalogue import LARGE, MOST, TEAS, digest, euros, total
from examples.shop.customers import Customer, Customers, Need, Order, Visit
from examples.shop.sign_in import AwayError, Countersign, RefusedError, strong_enough

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

HERE: Final = Path(__file__).parent
COOKIE: Final = "__Host-shop"
SIGNED_IN: Final = Need()
SENSITIVE: Final = Need(acr="urn:countersign:acr:mail-code", max_age=900)
"""What order history, payment methods and the address ask for: a code, a quarter of an hour old at most."""
MAX_FORM: Final = 16_384
POLICY: Final = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {issuer}; base-uri 'none'; frame-ancestors 'none'"


class Shop:
    """All pages; each method is one of them."""

    def __init__(self, provider: Countersign, issuer: str, url: str) -> None:
        self._provider = provider
        self._customers = Customers()
        self._issuer = issuer
        self._url = url
        self._pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
        )
        self._pages.filters["euros"] = euros
        self._acts = {"/checkout": self._order, "/address": self._move, "/payment": self._add_card}

    async def on_get(self, req: Request, resp: Response) -> None:
        """GET / : the catalogue."""
        self._show(req, resp, "catalogue.html", title="Teas", teas=TEAS.values())

    async def on_get_cart(self, req: Request, resp: Response) -> None:
        """GET /cart."""
        visit = self._visit(req, resp)
        lines = [(TEAS[tea], count) for tea, count in visit.cart.items()]
        person = self._customers.people.get(visit.sub)
        self._show(
            req, resp, "cart.html", title="Your cart", lines=lines, total=total(visit.cart), large=LARGE, person=person
        )

    async def on_post_cart(self, req: Request, resp: Response) -> None:
        """POST /cart: put in, or take out."""
        fields = await self._fields(req)
        visit = self._visit(req, resp)
        tea = fields.get("tea", "")
        if tea not in TEAS:
            raise falcon.HTTPBadRequest(title="There is no such tea")
        count = min(MOST, max(0, visit.cart.get(tea, 0) + (-1 if fields.get("out") else 1)))
        visit.cart[tea] = count
        if not count:
            del visit.cart[tea]
        visit.word = "" if fields.get("out") else f"{TEAS[tea].name} is in your cart."
        self._see(resp, "/cart" if fields.get("out") else (fields.get("back", "") == "cart" and "/cart") or "/")

    async def on_get_orders(self, req: Request, resp: Response) -> None:
        """GET /orders: what was bought is nobody else's business."""
        person = await self._person(req, resp, SENSITIVE)
        if person is not None:
            self._show(req, resp, "orders.html", title="Your orders", orders=person.orders[::-1], teas=TEAS, day=_day)

    async def on_get_payment(self, req: Request, resp: Response) -> None:
        """GET /payment."""
        person = await self._person(req, resp, SENSITIVE)
        if person is not None:
            self._show(req, resp, "payment.html", title="Payment methods", cards=person.cards)

    async def on_get_address(self, req: Request, resp: Response) -> None:
        """GET /address: anyone who is signed in may see it, and changing it asks for more."""
        person = await self._person(req, resp, SIGNED_IN)
        if person is not None:
            self._show(req, resp, "address.html", title="Delivery address", address=person.address)

    async def on_post_act(self, req: Request, resp: Response) -> None:
        """POST /checkout, /address, /payment: carried out at once, or after the person has proved enough: once."""
        fields = await self._fields(req)
        visit = self._visit(req, resp)
        # Whose order it is must be known before it can be approved: a stranger signs in first.
        need = self._need(req.path, visit) if visit.sub or req.path != "/checkout" else SIGNED_IN
        if not visit.sub or need.summary or not strong_enough(need, visit.acr, visit.auth_time):
            self._see(resp, await self._provider.leave_for(visit, need, "POST", req.path, fields))
            return
        self._see(resp, self._acts[req.path](visit, fields, need))

    async def on_get_sign_in(self, req: Request, resp: Response) -> None:
        """GET /sign-in."""
        visit = self._visit(req, resp)
        self._see(resp, await self._provider.leave_for(visit, SIGNED_IN, "GET", "/", {}))

    async def on_get_signed_in(self, req: Request, resp: Response) -> None:
        """GET /signed-in: the person comes back, and the request that waited goes on."""
        visit = self._visit(req, resp)
        pending, claims = await self._provider.come_back(visit, dict(parse_qsl(req.query_string)))
        visit.sub = claims["sub"]
        if not pending.need.summary:
            # The approval of an act says nothing about anything else: it opens no page.
            visit.acr, visit.auth_time = claims["acr"], claims["auth_time"]
        visit.id_token = claims["id_token"]
        known = self._customers.people.setdefault(visit.sub, Customer("", ""))
        known.name, known.email = claims.get("name", ""), claims.get("email", "")
        secret = req.get_cookie_values(COOKIE)
        if secret and self._customers.visit(secret[0]) is visit:
            self._keep(resp, self._customers.renew(secret[0]))
        if pending.method != "POST":
            self._see(resp, pending.path)
            return
        need = self._need(pending.path, visit)
        if need.summary and not pending.need.summary:
            self._see(resp, await self._provider.leave_for(visit, need, "POST", pending.path, pending.fields))
            return
        self._see(resp, self._acts[pending.path](visit, pending.fields, pending.need))

    async def on_post_sign_out(self, req: Request, resp: Response) -> None:
        """POST /sign-out: here, and at Countersign."""
        await self._fields(req)
        visit = self._visit(req, resp)
        token, visit.sub, visit.acr, visit.auth_time, visit.id_token = visit.id_token, "", "", 0, ""
        visit.pending.clear()
        self._see(resp, await self._provider.sign_out_at(token, self._url + "/") if token else "/")

    # ---- what the forms do

    def _need(self, path: str, visit: Visit) -> Need:
        if path != "/checkout":
            return SENSITIVE
        cost = total(visit.cart)
        if cost < LARGE:
            return SIGNED_IN
        person = self._customers.people.get(visit.sub)
        order = digest(visit.cart, person.address if person else "")
        return Need(acr=SENSITIVE.acr, summary=f"Pay {euros(cost)} to Leaf & Kettle", hash=order)

    def _order(self, visit: Visit, _: dict[str, str], need: Need) -> str:
        """Place the order, if it still is the one that was approved (U2)."""
        person = self._customers.people[visit.sub]
        if not visit.cart:
            visit.word = "Your cart is empty."
            return "/cart"
        if total(visit.cart) >= LARGE and need.hash != digest(visit.cart, person.address):
            visit.word = "Your cart or your address has changed since you approved it. Please order again."
            return "/cart"
        number = f"LK-{secrets.randbelow(900_000) + 100_000}"
        approved = bool(need.summary)
        person.orders.append(Order(number, time.time(), dict(visit.cart), total(visit.cart), person.address, approved))
        visit.cart.clear()
        visit.word = f"Thank you. Your order {number} is on its way to being packed."
        return "/"

    def _move(self, visit: Visit, fields: dict[str, str], _: Need) -> str:
        address = " ".join(fields.get("address", "").split())
        if not 0 < len(address) <= 300:  # noqa: PLR2004
            visit.word = "Write an address of at most 300 characters."
            return "/address"
        self._customers.people[visit.sub].address = address
        visit.word = "Your delivery address is changed."
        return "/address"

    def _add_card(self, visit: Visit, fields: dict[str, str], _: Need) -> str:
        last = fields.get("last", "").strip()
        cards = self._customers.people[visit.sub].cards
        if not (last.isascii() and last.isdigit() and len(last) == 4) or len(cards) >= 10:  # noqa: PLR2004
            visit.word = "Write the last four digits of the card."
        else:
            cards.append(last)
            visit.word = f"The card that ends in {last} is added."
        return "/payment"

    # ---- what every page does

    async def _person(self, req: Request, resp: Response, need: Need) -> Customer | None:
        """Return who is signed in strongly enough; else send the browser to Countersign, from where it comes back to this page."""
        visit = self._visit(req, resp)
        if visit.sub and strong_enough(need, visit.acr, visit.auth_time):
            return self._customers.people[visit.sub]
        self._see(resp, await self._provider.leave_for(visit, need, "GET", req.path, {}))
        return None

    def _visit(self, req: Request, resp: Response) -> Visit:
        found = self._customers.visit((req.get_cookie_values(COOKIE) or [""])[0])
        if found is None:
            secret, found = self._customers.begin()
            req._cookies = {COOKIE: [secret]}  # noqa: SLF001 - this request goes on as that browser
            self._keep(resp, secret)
        return found

    def _keep(self, resp: Response, secret: str) -> None:
        resp.append_header("Set-Cookie", f"{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Lax")

    async def _fields(self, req: Request) -> dict[str, str]:
        """Return a form's fields; a form that another site sent is refused."""
        site, origin = req.get_header("Sec-Fetch-Site"), req.get_header("Origin")
        if site not in {None, "same-origin", "none"} or origin not in {None, self._url}:
            raise falcon.HTTPForbidden(title="This form came from another site")
        body = await req.bounded_stream.read(MAX_FORM + 1)
        if len(body) > MAX_FORM:
            raise falcon.HTTPContentTooLarge
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=16))
        except ValueError as error:
            raise falcon.HTTPBadRequest from error

    def _see(self, resp: Response, where: str) -> None:
        resp.status = falcon.HTTP_303
        resp.set_header("Location", where)
        resp.set_header("Cache-Control", "no-store")

    def _show(self, req: Request, resp: Response, template: str, **values: Any) -> None:  # noqa: ANN401
        self._fill(req, resp, self._visit(req, resp), template, **values)

    def _fill(self, req: Request, resp: Response, visit: Visit, template: str, **values: Any) -> None:  # noqa: ANN401
        person = self._customers.people.get(visit.sub)
        resp.content_type = "text/html; charset=utf-8"
        resp.set_header("Content-Security-Policy", POLICY.format(issuer=self._issuer))
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_header("Referrer-Policy", "strict-origin")
        word, visit.word = visit.word, ""
        values.setdefault("person", person)
        resp.text = self._pages.get_template(template).render(
            path=req.path, word=word, in_cart=sum(visit.cart.values()), issuer=self._issuer, **values
        )

    async def refused(self, req: Request, resp: Response, error: RefusedError, _: object) -> None:
        """Tell a person why they came back without what they went for."""
        resp.status = falcon.HTTP_403
        self._show(req, resp, "refused.html", title="Not confirmed", reason=str(error), again=_again(error.path))

    async def away(self, req: Request, resp: Response, _: AwayError, __: object) -> None:
        """Tell a person that nobody can sign in just now."""
        resp.status = falcon.HTTP_503
        resp.set_header("Retry-After", "30")
        reason = "The service that signs you in does not answer just now. Nothing has happened; please try again in a minute."
        self._show(req, resp, "refused.html", title="One moment, please", reason=reason, again="")

    async def failed(self, req: Request, resp: Response, error: falcon.HTTPError, _: object) -> None:
        """Say what is wrong with a request. It begins no visit: the browser of a form from another site keeps the one it has."""
        resp.status = error.status
        visit = self._customers.visit((req.get_cookie_values(COOKIE) or [""])[0]) or Visit(0)
        title, reason = _FAULTS.get(
            error.status_code, (error.title or "That did not work", "Please go back and try again.")
        )
        self._fill(req, resp, visit, "refused.html", title=title, reason=reason, again="")


_FAULTS: Final = {
    403: ("This came from another site", "We take forms from our own pages only. Nothing has happened."),
    404: ("This page is not here", "It may have been moved, or the address has a slip in it."),
    405: ("This page is not here", "It may have been moved, or the address has a slip in it."),
}


def _again(path: str) -> str:
    """Return the page from which what a person wanted is asked for once more."""
    return {"/checkout": "/cart", "/": "/sign-in"}.get(path, path)


def _day(at: float) -> str:
    return time.strftime("%d %B %Y", time.gmtime(at))


class Asset:
    """GET for a file that pages are made of."""

    def __init__(self, name: str, kind: str) -> None:
        self._data = (HERE / "static" / name).read_bytes()
        self._kind = kind

    async def on_get(self, _: Request, resp: Response) -> None:
        """Answer with the file."""
        resp.content_type = self._kind
        resp.set_header("Cache-Control", "max-age=60")
        resp.data = self._data


def make_app() -> falcon.asgi.App[Request, Response]:
    """Return the shop, set up by the file that SHOP_SETTINGS names: issuer, client_id, client_secret and url."""
    told = json.loads(Path(os.environ["SHOP_SETTINGS"]).read_text(encoding="utf-8"))
    provider = Countersign(told["issuer"], told["client_id"], told["client_secret"], told["url"] + "/signed-in")
    shop = Shop(provider, told["issuer"], told["url"])
    app = falcon.asgi.App()
    app.add_error_handler(falcon.HTTPError, shop.failed)
    app.add_error_handler(RefusedError, shop.refused)
    app.add_error_handler(AwayError, shop.away)
    app.add_route("/", shop)
    app.add_route("/cart", shop, suffix="cart")
    for path in ("/orders", "/payment", "/address"):
        app.add_route(path, _Page(shop, path[1:]))
    app.add_route("/checkout", _Page(shop, ""))
    app.add_route("/sign-in", shop, suffix="sign_in")
    app.add_route("/signed-in", shop, suffix="signed_in")
    app.add_route("/sign-out", shop, suffix="sign_out")
    app.add_route("/shop.css", Asset("shop.css", "text/css; charset=utf-8"))
    app.add_route("/mark.svg", Asset("mark.svg", "image/svg+xml"))
    return app


class _Page:
    """A page that is shown and a form that acts, at one address."""

    def __init__(self, shop: Shop, name: str) -> None:
        if name:
            self.on_get = getattr(shop, f"on_get_{name}")
        if name != "orders":
            self.on_post = shop.on_post_act
