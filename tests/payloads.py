"""Texts that were made to act where they are shown, and how such a text may be shown.

All of them are texts that a sender can hand in as a label; what is none (NUL, broken UTF-8) is in
`REFUSED`, as bytes.
"""

import re

PAYLOADS: dict[str, str] = {
    "harmless": "alpha beta",
    "sql": "x'); DROP TABLE project; --",
    "sql_quotes": "\"'`$$ OR 1=1 /* \\' */",
    "script": "<script>document.title='owned'</script>",
    "end_of_script": "</script></title><script>document.title='owned'</script><!--",
    "attribute": '" onmouseover="document.title=1" autofocus x="',
    "single_quoted": "' onload='document.title=1",
    "image": "<img src=https://evil.example/x.png onerror=document.title=1>",
    "iframe": "<iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    "javascript_url": "javascript:document.title=1//",
    "foreign_url": "//evil.example/%2e%2e/x?y=1#z",
    "entities": "&lt;script&gt;&#60;b&#62;&amp;",
    "template": "{{7*7}}{% raw %}{#x#}${7*7}#{7*7}<%= 7*7 %>",
    "format": "{0} {project.__class__} %s %n %(name)s",
    "rich": "[bold red]x[/] [link=https://evil.example]y[/link] [/nothing]",
    "angle": "left > right >",
    "line_ends": "a\r\nSet-Cookie: owned=1\r\nX-Owned: 1\r\n\r\n<b>owned</b>",
    "mail": "x\r\nBcc: thief@evil.example\r\nSubject: owned\r\n\r\nowned",
    "encoded_word": "=?utf-8?q?x=0D=0ABcc:_thief@evil.example?=",
    "log_line": "x\n2026-01-01T00:00:00.000000Z [critical ] owned [os_credits] status=200",
    "log_json": '"}\n{"event":"owned","level":"critical"}',
    "escape": "\x1b[2J\x1b[31mred\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[6n",
    "c1": "\x9b31mred\x9d0;owned\x9c\x85next\x90x\x9c",
    "c0": "bell\x07back\x08\x08\x08tab\tvertical\x0bform\x0cshift\x0e\x0fdel\x7f\x1c\x1d\x1e\x1f",
    "formula": '=HYPERLINK("https://evil.example","x")',
    "formula_plus": "+1+cmd|' /C calc'!A0",
    "formula_minus": "-2+3+cmd|' /C calc'!A0",
    "formula_at": "@SUM(1+9)*cmd|' /C calc'!A0",
    "formula_tab": "\t=1+1",
    "override": "invoice\u202egnp.exe",
    "isolates": "a\u2067b\u2069\u2069\u2069\u202a\u202b\u202d\u202ec",
    "marks": "x\u200e\u200f\u061cy",
    "hebrew": "שלום 123 (אבג) - 45",
    "arabic": "مشروع ٤٢ (1) 2-3",
    "persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "zero_width": "alpha\u200b\u2060\ufeff\u00ad beta\u200d",
    "fillers": "\u3164\u115f\u2800",
    "spaces": "  \u00a0\u2003\u3000 x ",
    "separators": "a\u2028b\u2029c",
    "private": "\ue000\uf8ff\U000f0000\ufdd0\U000e0041",
    "exposition": 'x"} 1\nowned_total{a="b',
    "path": "../../../../etc/passwd",
    "path_parts": "..",
    "windows_path": "..\\..\\c:\\x",
    "percent": "%00%0d%0a%2e%2e%2f%3Cscript%3E%",
    "separators_of_urls": "a/b?c=d&e=f#g;h",
    "number": "#1",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308",
    "combining": "Z" + "\u0300\u0301\u0302\u0316\u0323" * 20 + "algo",
    "nfc": "Gen\u00e9",
    "nfd": "Gene\u0301",
    "wide": "\uff1cscript\uff1e\ufe64b\ufe65",
    "homoglyph": "\u0430dmin",
    "yaml": "!!python/object/apply:os.system [id]\n- x: &a [*a]",
    "long": "long_name-" * 100,
    "long_word": "W" * 1000,
}
REFUSED: dict[str, bytes] = {
    "nul": b"a\0b",
    "lone_surrogate": b"a\xed\xa0\x80b",
    "surrogate_pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "broken": b"a\xff\xfe\x80",
    "overlong": b"\xc0\xaf\xc1\x9c",
    "too_large": b"\xf4\x90\x80\x80",
}
# Invisible, but spelling where both neighbours are letters or signs beyond ASCII.
_JOINED = re.compile("(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")


def acting_signs(text: str) -> list[str]:
    """Give what of a shown text could steer a terminal, forge a line, or turn others round."""
    return [sign for sign in _JOINED.sub("", text) if not sign.isprintable() and sign != "\n"]
