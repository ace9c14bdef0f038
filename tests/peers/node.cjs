// A stranger that speaks WeCom's callback crypto: the vendor's published package, asked one JSON line at a time.
//
//   {"do":"post","url","token","key","id","timestamp","nonce","message"}   signs, encrypts and posts: status, body
//   {"do":"verify", same, with "message" as the echo}                      the verification request of a new URL
//   {"do":"open","token","key","query","body"}                             what another signer sent: message, id, ok
//
// Not for: anything our own code could do for it. Run from the directory that holds node_modules.
const { createRequire } = require("node:module");
const readline = require("node:readline");
const crypto = createRequire(`${process.cwd()}/`)("@wecom/crypto");

function seal({ token, key, id, timestamp, nonce, message }) {
  const encrypted = crypto.encrypt(key, message, id);
  const signature = crypto.getSignature(token, timestamp, nonce, encrypted);
  return { encrypted, query: new URLSearchParams({ msg_signature: signature, timestamp, nonce }) };
}

async function post(asked) {
  const { encrypted, query } = seal(asked);
  const body = asked.json
    ? JSON.stringify({ encrypt: encrypted })
    : `<xml><ToUserName><![CDATA[${asked.id}]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`;
  const reply = await fetch(`${asked.url}?${query}`, { method: "POST", body });
  return { status: reply.status, body: await reply.text() };
}

async function verify(asked) {
  const { encrypted, query } = seal(asked);
  query.set("echostr", encrypted);
  const reply = await fetch(`${asked.url}?${query}`);
  return { status: reply.status, body: await reply.text() };
}

function open({ token, key, query, body }) {
  const told = new URLSearchParams(query);
  const encrypted = body.startsWith("{")
    ? JSON.parse(body).encrypt
    : /<Encrypt>(?:<!\[CDATA\[)?([^<\]]*)/.exec(body)[1];
  const signature = crypto.getSignature(token, told.get("timestamp"), told.get("nonce"), encrypted);
  const { message, id } = crypto.decrypt(key, encrypted);
  return { ok: signature === told.get("msg_signature"), message, id };
}

const verbs = { post, verify, open };

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    let answer;
    try {
      answer = await verbs[asked.do](asked);
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
})();
