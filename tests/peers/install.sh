#!/usr/bin/env bash
# Installs the two strangers that our WeCom code is held against, below the directory given: the vendor's crypto package
# for Node and a Python WeChat library. Their versions are pinned; what is there already is not installed again.
#
#   tests/peers/install.sh target/peers
set -euo pipefail
to="$1"
mkdir -p "$to"
to="$(cd "$to" && pwd)"

WECOM_CRYPTO=1.0.1
WECHATPY=2.0.0a26

if [[ ! -f "$to/node_modules/@wecom/crypto/package.json" ]]; then
  npm install --prefix "$to" --no-save --no-audit --no-fund --loglevel=error "@wecom/crypto@$WECOM_CRYPTO" >&2
fi

if [[ ! -f "$to/python/.complete" ]]; then
  python3 -m venv "$to/python"
  "$to/python/bin/pip" install --quiet --disable-pip-version-check "wechatpy==$WECHATPY" pycryptodome >&2
  touch "$to/python/.complete"
fi
