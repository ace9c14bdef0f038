"""A stranger that speaks WeCom: a published WeChat library as signer, verifier and API client, asked one JSON line at a time.

    {"do":"post","url","token","key","id","timestamp","nonce","message"}   signs, encrypts and posts: status, body
    {"do":"verify", same, with "message" as the echo}                      the verification request of a new URL
    {"do":"open","token","key","id","query","body"}                        what another signer sent: message, ok
    {"do":"client","api","corp","secret"}                                  becomes an API client of that address
    {"do":"call","of","name","with"}                                       calls a method of that client: result or errcode

Not for: anything our own code could do for it.
"""

import json
import sys
import urllib.parse

import requests
import xmltodict
from wechatpy.exceptions import WeChatClientException
from wechatpy.work import WeChatClient
from wechatpy.work.crypto import WeChatCrypto

CALL_SECONDS_MAX = 20


class Client(WeChatClient):
    """The library's client with another address: it has the vendor's written into the request for a token."""

    def __init__(self, api, corp, secret):
        self.API_BASE_URL = f"{api}/cgi-bin/"
        super().__init__(corp, secret, timeout=CALL_SECONDS_MAX)

    def fetch_access_token(self):
        return self._fetch_access_token(
            url=f"{self.API_BASE_URL}gettoken",
            params={"corpid": self.corp_id, "corpsecret": self.secret},
        )


def seal(asked):
    crypto = WeChatCrypto(asked["token"], asked["key"], asked["id"])
    sealed = crypto.encrypt_message(asked["message"], asked["nonce"], asked["timestamp"])
    parts = xmltodict.parse(sealed)["xml"]
    query = {
        "msg_signature": parts["MsgSignature"],
        "timestamp": parts["TimeStamp"],
        "nonce": parts["Nonce"],
    }
    return sealed, parts["Encrypt"], query


def post(asked):
    sealed, _, query = seal(asked)
    reply = requests.post(asked["url"], params=query, data=sealed.encode(), timeout=CALL_SECONDS_MAX)
    return {"status": reply.status_code, "body": reply.text}


def verify(asked):
    _, encrypted, query = seal(asked)
    query["echostr"] = encrypted
    reply = requests.get(asked["url"], params=query, timeout=CALL_SECONDS_MAX)
    return {"status": reply.status_code, "body": reply.text}


def open_(asked):
    told = dict(urllib.parse.parse_qsl(asked["query"]))
    crypto = WeChatCrypto(asked["token"], asked["key"], asked["id"])
    message = crypto.decrypt_message(asked["body"], told["msg_signature"], told["timestamp"], told["nonce"])
    return {"ok": True, "message": message}


CLIENT = []


def client(asked):
    CLIENT[:] = [Client(asked["api"], asked["corp"], asked["secret"])]
    return {"token": bool(CLIENT[0].access_token)}


def call(asked):
    of = CLIENT[0]
    for part in filter(None, asked["of"].split(".")):
        of = getattr(of, part)
    try:
        result = getattr(of, asked["name"])(**asked["with"])
    except WeChatClientException as refused:
        return {"errcode": refused.errcode}
    return {"result": list(result) if asked.get("all") else result}


VERBS = {"post": post, "verify": verify, "open": open_, "client": client, "call": call}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = VERBS[asked["do"]](asked)
    except Exception as error:  # the test shows it and fails
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, ensure_ascii=False), flush=True)
