"""A mail server's IMAP side, small enough to be made to misbehave: one folder, its mails and their flags."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

PASSWORD = "word of tests"


@dataclass
class ImapPeer:
    """Serves one folder to whoever signs in as bounces; `hang_at` is a command that is never answered, `refuse` one that is refused."""

    mails: dict[int, bytes]
    seen: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    validity: int = 7
    hang_at: str = ""
    refuse: str = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := (await reader.readline()).decode().strip():
            tag, _, rest = line.partition(" ")
            words = rest.removeprefix("UID ").split(" ")
            name = words[0].upper()
            self.commands.append(name)
            if name == self.hang_at:
                await asyncio.Event().wait()
            if name == self.refuse or (name == "LOGIN" and rest != f'LOGIN bounces "{PASSWORD}"'):
                writer.write(f"{tag} NO {rest}\r\n".encode())
            else:
                writer.write(self._answer(name, words, rest) + f"{tag} OK done\r\n".encode())
            await writer.drain()
            if name == "LOGOUT":
                return

    def _answer(self, name: str, words: list[str], rest: str) -> bytes:
        match name:
            case "CAPABILITY":
                return b"* CAPABILITY IMAP4rev1\r\n"
            case "SELECT":
                return f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] x\r\n".encode()
            case "SEARCH":
                return f"* SEARCH {' '.join(str(uid) for uid in sorted(self.mails.keys() - self.seen))}\r\n".encode()
            case "FETCH":
                limit = re.search(r"<0\.(\d+)>", rest)
                assert limit is not None
                if (
                    int(words[1]) not in self.mails
                ):  # another reader removed it: "ignored without any error" (RFC 3501, 6.4.8)
                    return b""
                raw = self.mails[int(words[1])][: int(limit[1])]
                return f"* 1 FETCH (UID {words[1]} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n"
            case "STORE":
                uids = {int(uid) for uid in words[1].split(",")}
                self.seen |= uids
                self.deleted |= uids if "Deleted" in rest else set()
            case "EXPUNGE":
                self.mails = {uid: raw for uid, raw in self.mails.items() if uid not in self.deleted}
            case _:
                pass
        return b""
